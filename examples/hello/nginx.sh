#!/bin/sh
# The same answers from nginx, whose configuration knows no variables: they are filled in, as its own image does it.
# SIGQUIT lets nginx finish what it has begun; SIGTERM, which Kubernetes sends, would not.
set -eu
folder=$(mktemp -d)
cat > "$folder/nginx.conf" <<CONF
daemon off;
pid $folder/pid;
error_log stderr warn;
events {}
http {
  access_log off;
  client_body_temp_path $folder/body; proxy_temp_path $folder/proxy; fastcgi_temp_path $folder/fastcgi;
  uwsgi_temp_path $folder/uwsgi; scgi_temp_path $folder/scgi;
  server {
    listen ${HOST:-0.0.0.0}:${PORT:-3000};
    location = / { default_type text/html; return 200 "<title>Hello</title><p>Hello from $APP_VERSION, which is nginx.\n"; }
    location = /health { default_type text/plain; return 200 "ok"; }
    location = /ready { default_type text/plain; return 200 "ready"; }
    location = /version { default_type application/json; return 200 '{"version": "$APP_VERSION", "color": "$APP_COLOR"}'; }
    location / { return 404; }
  }
}
CONF
PATH="$PATH:/usr/sbin" nginx -c "$folder/nginx.conf" &
trap 'kill -QUIT $!' TERM
wait $! || wait $!
rm -rf "$folder"
