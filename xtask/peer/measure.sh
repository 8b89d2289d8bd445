#!/bin/sh
# Everything that is to be known of a GPU, in one command:
#
#   measure.sh OUT [SECONDS]
#
# OUT is a folder for what was said and measured; SECONDS is what the training run at the end may take (900). Needs the program
# and a Python with torch 2.11.0:
#
#   PROGRAM   the program: `fewstep` of the wheel, or a file, with that torch's `lib` on LD_LIBRARY_PATH
#   PYTHON    the interpreter whose torch is the peer (python3)
#   DEVICE    cuda
#   BATCHES   "128 512"
#   NETWORK   cifar10, the one of 60 M parameters; `fewstep bench step --help` names the others
#   ROUNDS    how often program and peer take turns (2)
#   EACH      seconds of each measurement (10)
#   COMPUTE   bf16
#
# A part that fails says so, and the others go on. The data set and the weights of the run at the end come from the cache, or are
# fetched.
set -u

out=${1:?"usage: measure.sh OUT [SECONDS]"}
limit=${2:-900}
program=${PROGRAM:-fewstep}
python=${PYTHON:-python3}
device=${DEVICE:-cuda}
network=${NETWORK:-cifar10}
each=${EACH:-10}
compute=${COMPUTE:-bf16}
here=$(cd "$(dirname "$0")" && pwd)
mkdir -p "$out"
failed=

# part NAME COMMAND...: what it says goes to the terminal and to OUT/NAME.txt.
part() {
    name=$1
    shift
    echo "== $name: $*"
    if "$@" >"$out/$name.txt" 2>&1; then
        tail -n 30 "$out/$name.txt"
    else
        tail -n 5 "$out/$name.txt"
        echo "== $name FAILED"
        failed="$failed $name"
    fi
}

part doctor "$program" doctor
for kind in f32 bf16; do
    part "norm-$kind" "$program" bench norm --device "$device" --compute "$kind" --batch 128 --seconds 1 \
        --json "$out/norm-$kind.json"
done

"$program" bench network --network "$network" >"$out/network.json"

# ours NAME BATCH ARGUMENTS...
ours() {
    name=$1 batch=$2
    shift 2
    part "$name" "$program" bench step --network "$network" --batch "$batch" --micro-batch "$batch" --device "$device" \
        --compute "$compute" --seconds "$each" --json "$out/$name.json" "$@"
}

# theirs NAME BATCH ARGUMENTS...
theirs() {
    name=$1 batch=$2
    shift 2
    part "$name" "$python" "$here/peer.py" step "$out/network.json" --batch "$batch" --device "$device" \
        --compute "$compute" --channels-last --seconds "$each" "$@"
}

for batch in ${BATCHES:-128 512}; do
    round=1
    while [ "$round" -le "${ROUNDS:-2}" ]; do
        ours "ours-$batch-$round" "$batch"
        ours "ours-tuned-$batch-$round" "$batch" --nondeterministic
        theirs "peer-$batch-$round" "$batch"
        theirs "peer-compiled-$batch-$round" "$batch" --compile
        round=$((round + 1))
    done
    # The other order of memory, to see what channels_last is worth.
    export FEWSTEP_IMAGE_ORDER=planes
    ours "ours-planes-$batch" "$batch" --nondeterministic
    unset FEWSTEP_IMAGE_ORDER
    ours "ours-profile-$batch" "$batch" --profile
done

# Images per second, side by side.
"$python" - "$out" <<'END' | tee "$out/summary.txt"
import json, pathlib, statistics, sys

for path in sorted(pathlib.Path(sys.argv[1]).glob("*-*.txt")):
    name = path.stem
    try:
        if name.startswith("ours-"):
            values = json.loads(path.with_suffix(".json").read_text())["measured"][0]["values"]
        elif name.startswith("peer-"):
            last = json.loads(path.read_text().splitlines()[-1])
            values = [last["images"] / s for s in last["seconds"]]
        else:
            continue
    except (OSError, ValueError, IndexError, KeyError) as error:
        print(f"{name:24} not measured: {error}")
        continue
    print(f"{name:24} {statistics.median(values):9.1f} images/s ({min(values):.1f} to {max(values):.1f})")
END

# A run that fills the time: as many samples as this network takes in a step of distillation, which costs more than one of the
# teacher's training, in two thirds of it. The rest is for the evaluation.
part rate "$program" bench step --network small --batch 512 --micro-batch 512 --device "$device" --compute "$compute" \
    --seconds 5 --json "$out/rate.json"
samples=$("$python" - "$out/rate.json" "$limit" <<'END'
import json, statistics, sys

values = json.load(open(sys.argv[1]))["measured"][0]["values"]
print(int(statistics.median(values) * float(sys.argv[2]) * 2 / 3))
END
)
if [ -n "$samples" ]; then
    part train timeout "$limit" "$program" train --config cifar10_mini --runs "$out/runs" \
        --set device='"'"$device"'"' --set compute='"'"$compute"'"' \
        --set model.network.channels=64 --set model.network.n_res_blocks=2 --set model.network.embedding_channels=256 \
        --set training.batch=512 --set training.micro_batch=512 --set training.checkpoint_every=512000 \
        --set training.deterministic=false \
        --set teacher.samples=$((samples / 2)) --set distill.samples=$((samples / 2)) --set evaluation.samples=10000
fi

if [ -n "$failed" ]; then
    echo "FAILED:$failed"
    exit 1
fi
