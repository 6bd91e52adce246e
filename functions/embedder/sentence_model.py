"""The sentence model all-MiniLM-L6-v2 on one core.

The build writes its files beside this module (`local/sam_build/embedding_model.py`), and docs/adr/0036 says why it runs in ONNX Runtime.
"""

import os
from pathlib import Path

# numpy's OpenBLAS would start a thread for each core of the machine. The model never uses it.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import numpy as np
import onnxruntime
from tokenizers import Tokenizer

MODEL_FOLDER = Path(__file__).with_name("model")
# The model was trained on texts of at most this length, the start and the end mark included.
MAX_TOKENS = 256
# Enough for 254 English words of 60 letters each. Only the beginning of a longer text is split into tokens, which bounds the time.
MAX_CHARACTERS = 16_000


class SentenceModel:
    """The model and its tokenizer. Loading takes about 0.2 s; an instance must not be used by two threads at the same time."""

    def __init__(self, folder: Path = MODEL_FOLDER) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        # Freed memory returns to the system, so that one long text does not enlarge the process for ever.
        options.enable_cpu_mem_arena = False
        self._session = onnxruntime.InferenceSession(folder / "model.onnx", options, providers=["CPUExecutionProvider"])
        self._tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        self._tokenizer.no_padding()
        self._tokenizer.enable_truncation(MAX_TOKENS)

    def embed(self, text: str) -> tuple[bytes, int]:
        """Return the text's vector, as 384 little-endian floats of 4 bytes, and the number of tokens read.

        The vector has length one. A text is cut after `MAX_TOKENS`; an empty text, too, has a vector. Each text is run alone: the rounding
        of the numbers inside the model would otherwise depend on the other texts of its batch.
        """
        # A lone surrogate, which JSON can carry, has no UTF-8.
        readable = text[:MAX_CHARACTERS].encode("utf-8", "replace").decode()
        ids = self._tokenizer.encode(readable).ids
        (vectors,) = self._session.run(None, {"ids": np.array([ids], dtype=np.int64)})
        return vectors[0].astype("<f4").tobytes(), len(ids)
