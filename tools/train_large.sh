#!/bin/sh
# Trains the wide network (recipe mien-wide) on a machine with an accelerator that is lent for a few
# minutes at a time. Call it again with the same folders until it says that it is done (three times
# of ten minutes on a large GPU, by estimate; not measured).
#
#   tools/train_large.sh DATA FERPLUS WORK BACK
#
# WORK keeps the run. BACK gets what is to be taken home: answers.npz (a --teacher for training.train)
# and the run in pieces of at most 16 MB. On a fresh machine, give the BACK of the last call as
# RESUME_FROM and the run goes on from there. Settings: PYTHON, DEVICE (cuda), RECIPE (mien-wide),
# MINUTES (8), EPOCHS, BATCH, SEED (1), COMPILE (1), PIECE (bytes).
set -eu

if [ $# -ne 4 ]; then
    echo "Expected four paths: DATA FERPLUS WORK BACK. Received $#." >&2
    exit 2
fi
data=$1 ferplus=$2 work=$3 back=$4
python=${PYTHON:-python}
device=${DEVICE:-cuda}
run=$work/run
mkdir -p "$work" "$back"

if [ -n "${RESUME_FROM:-}" ] && [ ! -e "$run" ]; then
    (cd "$RESUME_FROM" && sha256sum --check --quiet pieces.sha256)
    cat "$RESUME_FROM"/run.tar.[0-9]* | tar xf - -C "$work"
fi

set -- --data "$data" --ferplus "$ferplus" --out "$run" --resume --recipe "${RECIPE:-mien-wide}" \
    --device "$device" --augment device --seed "${SEED:-1}" --split-seed 1 --minutes "${MINUTES:-8}"
[ -z "${EPOCHS:-}" ] || set -- "$@" --epochs "$EPOCHS"
[ -z "${BATCH:-}" ] || set -- "$@" --batch "$BATCH"
[ "${COMPILE:-1}" = 0 ] || set -- "$@" --compile

status=0
"$python" -m training.train "$@" || status=$?
if [ "$status" -ne 0 ] && [ "$status" -ne 75 ]; then
    exit "$status"
fi

# What came home last time is of an older epoch; a cut-off write must not look whole.
rm -f "$back"/run.tar.* "$back/pieces.sha256"
if [ "$status" -eq 0 ]; then
    "$python" -m training.teach "$run" --data "$data" --out "$back/answers.npz" --device "$device"
    without=run/checkpoint.pt # the network is in model.keras then
fi
tar cf - -C "$work" --exclude "${without:-none}" run | split -b "${PIECE:-16000000}" -d -a 3 - "$back/run.tar."
(cd "$back" && sha256sum run.tar.* >pieces.sha256)
if [ "$status" -eq 0 ]; then
    echo "Done. At home: cat BACK/run.tar.[0-9]* | tar xf -; then training.publish run."
else
    echo "Not done. Call it again with the same folders."
fi
exit "$status"
