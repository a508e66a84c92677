# Lateen, standalone: Istio YAML, a Gateway on the port; metrics on, access log off, as by default
SUPPORTS="A B $ESC F G H"
config() { gen lateen; }
command() { echo "${LATEEN:-$BENCH/../../build/lateen} run -f $DIR/mesh.yaml --concurrency 1 --admin 127.0.0.1:0 --http-proxy 127.0.0.1:0"; }
