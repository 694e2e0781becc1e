"""Stand-ins for the modules by which TensorRT's samples handle memory: ``tenon.cuda.driver`` for
``pycuda.driver``, ``tenon.cuda.autoinit`` for ``pycuda.autoinit`` and ``tenon.cuda.cudart`` for
``cuda.cudart``. With a CUDA card they use its memory through the driver; without one, "device"
memory is plain memory, and engines run on the CPU. The real modules work as well, on a card."""
