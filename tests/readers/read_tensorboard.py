"""Read an exported run with TensorBoard itself (and tbparse, where installed) and compare it with the log.

python read_tensorboard.py RUN_DIR BOARD_DIR
"""

import json
import logging
import struct
import sys
import warnings
from pathlib import Path

warnings.simplefilter("error")
import numpy as np
from tensorboard.backend.event_processing import data_provider, event_accumulator
from tensorboard.backend.event_processing import plugin_event_multiplexer as multiplexer
from tensorboard import context
from tensorboard.util import tensor_util

complaints = []


class Collect(logging.Handler):
    def emit(self, record):
        complaints.append(record.getMessage())


logging.getLogger("tensorboard").addHandler(Collect(logging.WARNING))

run, board = Path(sys.argv[1]), sys.argv[2]
PHASES = ["RandomLike", "BleedingOut", "BulkPlusSpikes", "BulkDecay", "HeavyTailed", "RankCollapse"]


def f32(x):
    return struct.unpack("f", struct.pack("f", x))[0]


# What must be there, by tag and step.
scalars, eigenvalues, phases, reasons = {}, {}, {}, {}
for line in (run / "log.jsonl").read_text().splitlines():
    row = json.loads(line)
    if row["kind"] == "scalar":
        scalars["training/" + row["name"], row["epoch"]] = f32(row["value"])
    if row["kind"] != "layer":
        continue
    key = lambda tag: (f"{tag}/{row['layer']}", row["epoch"])
    if row["status"] != "success":
        reasons[key("verdict")] = f"no spectrum: {row['count']} of {row['of']} weights are not finite (NaN or infinite)"
        continue
    columns = {
        "alpha": "alpha", "alpha_hat": "alpha_weighted", "stable_rank": "stable_rank", "soft_rank": "mp_softrank",
        "entropy": "entropy", "lambda_max": "lambda_max", "num_spikes": "num_spikes", "phase_confidence": "phase_confidence",
    }
    for tag, column in columns.items():
        if row[column] is not None:
            scalars[key(tag)] = f32(row[column])
    if row["phase"] is not None:
        scalars[key("phase")] = float(PHASES.index(row["phase"]))
        phases[key("verdict")] = row["phase"]
    else:
        reasons[key("verdict")] = f"no phase: M = {row['phase_reason']['m']}, fewer than 10 eigenvalues"
    file = run / "spectra" / f"epoch-{row['epoch']:05}-step-{row['step']:09}.safetensors"
    blob = file.read_bytes()
    header = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])
    begin, end = header[row["layer"]]["data_offsets"]
    start = 8 + int.from_bytes(blob[:8], "little")
    eigenvalues[key("esd_x")] = np.frombuffer(blob[start + begin : start + end])

# The old reader, which takes scalars as they stand in the file.
folder = next(Path(board).iterdir())
accumulator = event_accumulator.EventAccumulator(str(folder), size_guidance={"scalars": 0, "tensors": 0})
accumulator.Reload()
read = {(tag, e.step): e.value for tag in accumulator.Tags()["scalars"] for e in accumulator.Scalars(tag)}
model = {k for k in read if k[0].startswith("model/")}
assert model and read.keys() - model == scalars.keys(), read.keys() ^ scalars.keys()
assert all(read[k] == v for k, v in scalars.items())

# What TensorBoard's dashboards ask, plugin by plugin.
plugins = multiplexer.EventMultiplexer(tensor_size_guidance={p: 0 for p in ("scalars", "histograms", "text")})
plugins.AddRunsFromDirectory(board)
plugins.Reload()
provider, ctx = data_provider.MultiplexerDataProvider(plugins, board), context.RequestContext()


def ask(plugin, method):
    ask = dict(experiment_id="", plugin_name=plugin, downsample=10**6)
    answer = getattr(provider, method)(ctx, **ask)
    (tags,) = answer.values()
    return {(tag, d.step): d for tag, data in tags.items() for d in data}


shown = {k: d.value for k, d in ask("scalars", "read_scalars").items()}
assert shown == read, "the dashboard's scalars"

histograms = {k: d.numpy for k, d in ask("histograms", "read_tensors").items()}
assert {k for k in histograms if k[0].startswith("esd_x/")} == eigenvalues.keys()
for key, values in eigenvalues.items():
    bins = histograms[key]
    assert bins.shape == (60, 3) and bins.dtype == np.float64
    assert bins[0, 0] == values.min() and bins[-1, 1] == values.max() and bins[:, 2].sum() == len(values)
    edges = np.append(bins[:, 0], bins[-1, 1])
    counts, _ = np.histogram(values, edges)
    assert abs(np.cumsum(counts) - np.cumsum(bins[:, 2])).max() <= 1, key
    logs = histograms[key[0].replace("esd_x/", "esd_log10_x/"), key[1]]
    # Two libraries' logarithms may differ in the last bit.
    np.testing.assert_array_max_ulp(logs[-1, 1], np.log10(values.max()), 1)
    assert logs[:, 2].sum() == (values > 1e-12 * values.max()).sum()

texts = {k: d.numpy.item().decode() for k, d in ask("text", "read_tensors").items()}
said = {k for k in texts if k[0].startswith("verdict/")}
assert said == phases.keys() | reasons.keys(), said ^ (phases.keys() | reasons.keys())
plain = lambda text: text.lower().replace("-", "").replace("+", "plus")
assert all(plain(texts[k]).startswith("**" + phase.lower()) for k, phase in phases.items())
assert all(texts[k].startswith(reason) for k, reason in reasons.items())
assert not complaints, complaints
print(f"TensorBoard: {len(read)} scalars, {len(histograms)} histograms, {len(texts)} texts, none different, no warning")

try:
    from tbparse import SummaryReader
except ImportError:
    print("SKIPPED: tbparse is not installed")
    sys.exit()
warnings.simplefilter("ignore")
reader = SummaryReader(board, pivot=False)
rows = {(r.tag, r.step): r.value for r in reader.scalars.itertuples()}
assert rows == read, "tbparse's scalars"
assert {(r.tag, r.step) for r in reader.text.itertuples()} == texts.keys()
print(f"tbparse: {len(rows)} scalars and {len(reader.text)} texts, none different")
