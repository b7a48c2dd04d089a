"""What reads an X-ray on the box: numpy and OpenCV, one inference engine, never torch."""

import os

# From 1.29 on ONNX Runtime's own packages report its use to its maker as soon as it is imported, and keep a
# name for the machine on its disk; they look at this variable then, and never again. A box tells nobody.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
