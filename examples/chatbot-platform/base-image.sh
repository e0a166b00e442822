#!/usr/bin/env bash
# Builds a base image FROM scratch, out of this machine's Bun and the libraries that it is linked with, for machines
# which cannot reach a hub. Prints the image's name, so that it can be used at once:
#
#   docker build --build-arg BASE_IMAGE="$(./base-image.sh)" -t chatbot-platform:dev .
#
# It changes nothing but that one image. To undo: docker rmi <name>. BUN names another binary than the one on PATH.
set -euo pipefail

bun=$(readlink -f "${BUN:-$(command -v bun)}")
name="bun-base:$("$bun" --version)"
root=$(mktemp -d)
trap 'rm -rf "$root"' EXIT

# ldd prints "name => /path (address)" or, for the loader, "/path (address)"; the kernel's own has no path.
libraries=$(ldd "$bun" | grep -o '/[^ ]*')
for file in $libraries; do
  install -D "$(readlink -f "$file")" "$root/rootfs$file"
done
install -D "$bun" "$root/rootfs/usr/local/bin/bun"

# A name for the user that the app runs as, and a place for temporary files if nothing is mounted there.
install -d -m 1777 "$root/rootfs/tmp"
install -d -m 0755 -o 10001 -g 10001 "$root/rootfs/data"
install -d "$root/rootfs/etc"
echo 'app:x:10001:10001::/app:/sbin/nologin' >"$root/rootfs/etc/passwd"
echo 'app:x:10001:' >"$root/rootfs/etc/group"

# No CA certificates: Bun carries Mozilla's list itself.
printf '%s\n' 'FROM scratch' 'COPY rootfs/ /' 'ENV PATH=/usr/local/bin' >"$root/Dockerfile"
docker build --quiet --tag "$name" "$root" >&2
echo "$name"
