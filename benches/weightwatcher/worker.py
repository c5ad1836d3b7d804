"""WeightWatcher as a worker: a line in (what to do), a line out (CPU seconds of it). Started by main.rs."""

import contextlib
import io
import logging
import sys
import time
import warnings

answers = sys.stdout
warnings.simplefilter("ignore")


def say(text):
    print(text, file=answers, flush=True)


try:
    with contextlib.redirect_stdout(io.StringIO()):
        import numpy
        import torch
        import weightwatcher
        from weightwatcher.WW_powerlaw import pl_fit
except ImportError as why:
    say(f"missing: {why}")
    sys.exit()
torch.set_num_threads(1)
logging.disable(logging.CRITICAL)
say(
    f"ready WeightWatcher {weightwatcher.__version__}, torch {torch.__version__}, "
    f"numpy {numpy.__version__}, one thread each, CPU time"
)


def cpu(work):
    start = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()):
        work()
    return time.process_time() - start


model = values = None
for line in sys.stdin:
    match line.split():
        case ["load", rows, cols, *path]:
            entries = numpy.fromfile(" ".join(path), dtype="<f4").reshape(int(rows), int(cols))
            layer = torch.nn.Linear(int(cols), int(rows), bias=False)
            layer.weight.data = torch.from_numpy(entries.copy())
            model = torch.nn.Sequential(layer)
            say(0)
        case ["analyze"]:
            say(cpu(lambda: weightwatcher.WeightWatcher(model=model).analyze()))
        case ["analyze", "mp"]:
            say(cpu(lambda: weightwatcher.WeightWatcher(model=model).analyze(mp_fit=True)))
        case ["eigenvalues", _, *path]:
            values = numpy.fromfile(" ".join(path), dtype="<f8")
            say(0)
        case ["tail"]:
            say(cpu(lambda: pl_fit(values, xmax=values.max())))
        case _:
            break
