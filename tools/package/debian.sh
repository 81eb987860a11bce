#!/usr/bin/env bash
# Makes a Debian package of the folder that files.sh packs.
#
#     tools/package/debian.sh FOLDER VERSION OUT
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
folder=$(realpath "$1") version=$2-1 out=$(realpath "$3") arch=$(dpkg --print-architecture)
time=$(git -C "$here" log -1 --format=%ct)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
root=$work/root
place() { # MODE SOURCE DESTINATION
    install -D -m "$1" "$2" "$root/usr/$3"
}
place 755 "$folder/lanerank" bin/lanerank
for page in "$folder"/man/*.1; do
    place 644 "$page" "share/man/man1/$(basename "$page")"
done
place 644 "$folder/completions/lanerank.bash" share/bash-completion/completions/lanerank
place 644 "$folder/completions/_lanerank" share/zsh/vendor-completions/_lanerank
place 644 "$folder/completions/lanerank.fish" share/fish/vendor_completions.d/lanerank.fish
place 644 "$here/copyright" share/doc/lanerank/copyright
for page in README.md MODEL_CARD.md THIRD-PARTY.txt; do
    place 644 "$folder/$page" "share/doc/lanerank/$page"
done
place 644 "$folder/CHANGELOG.md" share/doc/lanerank/changelog
maintainer='The lanerank contributors <lanerank@users.noreply.github.com>'
cat >"$root/usr/share/doc/lanerank/changelog.Debian" <<END
lanerank ($version) unstable; urgency=medium

  * lanerank $2: see changelog.gz.

 -- $maintainer  $(date -uR -d "@$time")
END
gzip -9n "$root"/usr/share/man/man1/* \
    "$root"/usr/share/doc/lanerank/{changelog,changelog.Debian,THIRD-PARTY.txt}

mkdir -p "$work/debian" "$root/DEBIAN"
printf 'Source: lanerank\n\nPackage: lanerank\nArchitecture: any\n' >"$work/debian/control"
libraries=$(cd "$work" && dpkg-shlibdeps -O -e"$root/usr/bin/lanerank")
cat >"$root/DEBIAN/control" <<END
Package: lanerank
Version: $version
Architecture: $arch
Section: text
Priority: optional
Maintainer: $maintainer
Homepage: https://github.com/lanerank/lanerank
Installed-Size: $(du -sk "$root/usr" | cut -f1)
Depends: ${libraries#shlibs:Depends=}
Description: rerank search results with a small cross-encoder
 lanerank scores how well each of a search engine's candidate passages answers
 a query, on an ordinary CPU. A small model for English is inside. It converts
 other models, and serves the routes of text-embeddings-inference, Cohere,
 Jina and OpenAI over HTTP.
END
SOURCE_DATE_EPOCH=$time dpkg-deb --root-owner-group -Zxz --build "$root" \
    "$out/lanerank_${version}_$arch.deb"
