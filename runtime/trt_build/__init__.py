"""Builds TensorRT engines from ONNX: in a child process, for the GPU that will run them.

spec.py: what decides an engine, as data. place.py: which GPU, driver and library are here. library.py: what
differs between generations of TensorRT's API. builder.py: the child. process.py: the parent's side of it.
Nothing here knows bundles or keeps engines: see runtime.device_engine and runtime.engine_store.
"""
