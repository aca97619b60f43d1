#!/bin/sh
# Makes the certificate authority and the certificate for 127.0.0.1 that tests/hub.rs uses.
# They protect nothing. The authority's own key is thrown away.
set -eu
cd "$(dirname "$0")/../../tests/hub_server/tls"
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 36500 \
    -keyout ca.key -out ca.pem -subj "/CN=tarjim test authority" \
    -addext "basicConstraints=critical,CA:TRUE" -addext "keyUsage=critical,keyCertSign"
openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes \
    -keyout server.key -out server.csr -subj "/CN=tarjim test server"
printf 'basicConstraints=CA:FALSE\nsubjectAltName=IP:127.0.0.1\nextendedKeyUsage=serverAuth\n' > server.ext
openssl x509 -req -in server.csr -CA ca.pem -CAkey ca.key -CAcreateserial -days 36500 \
    -extfile server.ext -out server.pem
rm -f ca.key ca.srl server.csr server.ext
