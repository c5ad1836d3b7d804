"""Read the folder of a run that went back with TensorBoard: no point of the abandoned branch is shown.

python read_session.py BOARD_DIR
"""

import sys

from tensorboard.backend.event_processing import plugin_event_multiplexer as multiplexer

plugins = multiplexer.EventMultiplexer(tensor_size_guidance={"scalars": 0})
plugins.AddRunsFromDirectory(sys.argv[1])
plugins.Reload()
(run,) = plugins.Runs()
steps = [event.step for event in plugins.Tensors(run, "stable_rank/fc1.weight")]
assert steps == [0, 1, 2, 3, 4], steps
loss = [round(float(event.tensor_proto.float_val[0]), 3) for event in plugins.Tensors(run, "training/valid loss")]
assert loss == [0.0, 1.0, 2.0, 13.0, 14.0], loss
print(f"TensorBoard: {len(steps)} observations of a run that went back, none of the abandoned branch")
