#!/usr/bin/env bash
# Build the page from pinned packages: the types of the server's OpenAPI document, then the files.
#     web/build.sh PYTHON FOLDER TYPES
set -euo pipefail
python=$(realpath -s "$1")
folder=$(realpath -m "$2")
types=$(realpath -m "$3")
cd "$(dirname "$0")"
document=$(mktemp --suffix .json)
trap 'rm "$document"' EXIT
"$python" -c 'import json; from starrec.server.app import document; print(json.dumps(document()))' > "$document"
npm ci --silent
node_modules/.bin/openapi-typescript "$document" --output "$types" > /dev/null
node_modules/.bin/tsc --noEmit
node_modules/.bin/vite build --outDir "$folder" --emptyOutDir --logLevel warn
