"""A server of an exported SavedModel, and in front of it what injures answers on their way."""

import os
import pathlib


def serve(protocol, path, share, timeout, seed, pipe):
    """Serve until the pipe says so: tells the address first and what was injected last."""
    os.environ.update({"CUDA_VISIBLE_DEVICES": "-1", "TF_CPP_MIN_LOG_LEVEL": "3"})
    import kseg
    from tests.campaigns import coded_images, faulty_grpc, faulty_rest
    from tests.serving.server import GrpcServer, RestServer, Served

    if not pathlib.Path(path).exists():
        kseg.export.saved_model(coded_images.model(), path, warm_up_requests=False)
    served = Served(path, "coded")
    served.requests = _Forgotten()  # the tests look at them; here they would fill memory
    image = coded_images.encoded(coded_images.coded(0)[1], "png")
    served.run("serve_bytes", {"image_bytes": [image]})  # the first run is slow
    made, faulty = ((RestServer, faulty_rest.FaultyRest) if protocol == "rest"
                    else (GrpcServer, faulty_grpc.FaultyGrpc))
    upstream = made(served)
    between = faulty(upstream.url, share, timeout, seed)
    pipe.send(between.url)
    pipe.recv()
    pipe.send(dict(sorted(between.injected.items())))


class _Forgotten:
    def append(self, _):
        pass
