#!/usr/bin/env bash
# All families in one command, or those named; the same command again goes on where it was cut off:
#   IMAGES="DIR DIR" ./train.sh WORK [FAMILY ...]
# WORK takes the cached latents and the runs; the models go to ../models.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=${1:?a folder for the cache and the runs}
shift
python=${PYTHON:-python3}
# Crops, the training loop, the prior of z, tables and ONNX files are those of the encoder's recipe.
export PYTHONPATH="$here/../../model/train"
families=("$@")
[ $# -gt 0 ] || families=(mean-scale channel-groups scale autoregressive checkerboard recursive elic mixture gain laplace logistic)

if [ ! -e "$work/cache/held.npy" ]; then
  read -ra images <<<"${IMAGES:?folders of photographs; of the first one every tenth is held out}"
  "$python" "$here/cache.py" --images "${images[@]}" --encoder "$here/../../model/points/mid/encoder.onnx" --out "$work/cache"
fi
# The two that other tests lean on are trained longer.
steps() {
  case $1 in
    mean-scale) echo 30000 ;;
    channel-groups) echo 24000 ;;
    elic) echo 7000 ;;
    *) echo 8000 ;;
  esac
}

for family in "${families[@]}"; do
  [ -e "$work/runs/$family/done" ] && continue
  "$python" "$here/train.py" --family "$family" --cache "$work/cache" --out "$work/runs/$family" --steps "${STEPS:-$(steps "$family")}"
  "$python" "$here/export.py" --run "$work/runs/$family" --cache "$work/cache" --out "$here/../models/$family"
  touch "$work/runs/$family/done"
done
