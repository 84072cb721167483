"""Gives the page to the browser, takes its packets, and answers with what the photograph shows."""

import math
import threading
from pathlib import Path

import latentwire
import numpy as np
import onnxruntime
from fastapi import FastAPI, Request
from fastapi.responses import PlainTextResponse
from fastapi.staticfiles import StaticFiles
from starlette.concurrency import run_in_threadpool

here = Path(__file__).parent
bundle = latentwire.load_bundle(here / "model.lwb")
decoder = onnxruntime.InferenceSession(str(here / "decoder.onnx"))
# The second half of the network, from the decoder's features to the logits.
rest = onnxruntime.InferenceSession(str(here / "split/server/tail.onnx"))
labels = (here / "labels.txt").read_text().splitlines()[1:]

# Packets come from strangers: neither the body nor the latent may be larger than this model's.
MAX_BYTES = 65536
MAX_ELEMENTS = 20 * 28 * 28

own = threading.local()


def answer(packet: bytes) -> dict:
    # A codec belongs to the thread that made it.
    if not hasattr(own, "prior"):
        own.codec = latentwire.create()
        own.prior = bundle.factorized(own.codec, "latent")
    latent = own.codec.decode(packet, own.prior, max_elements=MAX_ELEMENTS)
    (features,) = decoder.run(None, {decoder.get_inputs()[0].name: latent})
    (logits,) = rest.run(None, {rest.get_inputs()[0].name: features})
    best = int(np.argmax(logits))
    probability = 1 / math.fsum(np.exp(logits.ravel() - logits.max()))
    return {"label": labels[best], "probability": probability}


app = FastAPI()


@app.post("/decode")
async def decode(request: Request):
    packet = bytearray()
    async for chunk in request.stream():
        packet += chunk
        if len(packet) > MAX_BYTES:
            return PlainTextResponse("LIMIT_EXCEEDED", 413)
    try:
        return await run_in_threadpool(answer, bytes(packet))
    except latentwire.CodecError as error:
        return PlainTextResponse(error.code, 400)  # CORRUPTED, WRONG_PRIOR ..: the packet's fault


app.mount("/", StaticFiles(directory=here / "page", html=True))
