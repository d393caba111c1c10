#!/bin/sh
# place.sh TARGET FOLDER: gives a restored folder, a path from here, its place in TARGET. restore.sh runs it for each. What is
# not there is moved as a whole, which ends it (0); of what is there the files are replaced (1), the folders in it follow.
set -eu
place="$1/$2"
folder="$2"

if [ ! -e "$place" ] && [ ! -L "$place" ]; then
    exec mv "$folder" "$place"
fi

# Without it the recording is not whole, until all of its files are.
if [ -e "$folder/metadata.yaml" ]; then
    rm -f "$place/metadata.yaml"
fi
for entry in "$folder"/* "$folder"/.[!.]* "$folder"/..?*; do
    case "$entry" in
        */metadata.yaml) ;;
        *) if [ -L "$entry" ] || [ -f "$entry" ]; then mv -f "$entry" "$place/"; fi ;;
    esac
done
if [ -e "$folder/metadata.yaml" ]; then
    mv "$folder/metadata.yaml" "$place/"
fi
exit 1
