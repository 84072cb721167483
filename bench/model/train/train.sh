#!/usr/bin/env bash
# The whole curve in one command; the same command again goes on where it was cut off:
#   IMAGES="DIR DIR" BACKBONE=backbone.onnx EVAL="DIR eval.csv" ./train.sh OUT
# SHARE scales every phase's minutes (default 1: about 80 CPU minutes); COUNT is how many crops the tables are counted on (default 4000).
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?the folder for the models}
python=${PYTHON:-python3}
read -ra images <<<"${IMAGES:?folders of photographs}"
read -ra eval <<<"${EVAL:?a folder of labelled images and their CSV file}"
data=(--images "${images[@]}" --backbone "${BACKBONE:?backbone.onnx}")

phase() {
  local name=$1 minutes
  minutes=$(awk "BEGIN { print $2 * ${SHARE:-1} }")
  shift 2
  [ -e "$out/runs/$name/done" ] && return
  "$python" "$here/train.py" "${data[@]}" --out "$out/runs/$name" --minutes "$minutes" "$@"
  touch "$out/runs/$name/done"
}

point() {
  "$python" "$here/export.py" "${data[@]}" --eval "${eval[@]}" --run "$out/runs/$1/last.pt" --out "$out/$1" ${COUNT:+--count "$COUNT"}
}

fine=(--size 160 --batch 10 --zoom 0.85 1.5)
phase trunk 20 --target 5600 --head-only 1 --noise 0.05 --beta 0.15 --lr 1.2e-3 --final-lr 0.4 --seed 1
phase high 20 --init "$out/runs/trunk/last.pt" --target 5000 "${fine[@]}" --seed 2
point high
phase mid 20 --init "$out/runs/high/last.pt" --target 2300 "${fine[@]}" --seed 3
point mid
phase low 16 --init "$out/runs/mid/last.pt" --target 1200 "${fine[@]}" --seed 4
point low
