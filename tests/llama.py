"""A real llama.cpp server with a tiny model of random weights: real tokens, a real HTTP server, no download.

    with llama_server() as base_url:        # http://127.0.0.1:PORT/v1; Anthropic's format is at the same address
        ...

The server lives in a child process (`python tests/llama.py MODEL`), which ends when its standard input does, so that
not even a killed test run leaves one behind. What the model says is made-up words, now a few and now hundreds.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

MODEL = "tiny-random-llama"
_WIDTH = 64
_LAYERS = 2
_HEADS = 4
_CONTEXT = 2048
_SYLLABLES = ("ba", "co", "du", "fe", "gi", "ha", "jo", "ka", "lu", "me", "ni", "po", "ra", "su")
_TEMPLATE = (
    "{% for message in messages %}{{ message['role'] }}: {{ message['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}assistant: {% endif %}"
)


@contextmanager
def llama_server(*, embeddings: bool = False) -> Iterator[str]:
    """Yields the base URL of OpenAI's format. A server of `embeddings` makes nothing else."""
    with tempfile.TemporaryDirectory() as folder:
        model = Path(folder) / "tiny.gguf"
        write_model(model)
        command = [sys.executable, __file__, str(model), *(["embeddings"] if embeddings else [])]
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        ) as process:
            assert process.stdout is not None
            try:
                address = next((line for line in process.stdout if line.startswith("http://")), None)
                assert address is not None, "the llama.cpp server did not start; are xllamacpp and gguf installed?"
                yield f"{address.strip()}/v1"
            finally:
                process.kill()


def write_model(path: Path) -> None:
    """A llama of random weights, the same each time: 64 wide, 2 layers, a vocabulary of bytes and made-up words."""
    import gguf
    import numpy

    random = numpy.random.default_rng(7)
    tokens, scores, types = _vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name(MODEL)
    writer.add_context_length(_CONTEXT)
    writer.add_embedding_length(_WIDTH)
    writer.add_block_count(_LAYERS)
    writer.add_feed_forward_length(2 * _WIDTH)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(_WIDTH // _HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("llama")
    writer.add_token_list(tokens)
    writer.add_token_scores(scores)
    writer.add_token_types(types)
    writer.add_unk_token_id(0)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(_TEMPLATE)

    def weights(*shape: int) -> numpy.ndarray:
        return random.normal(0, 0.4, shape).astype(numpy.float32)

    def add(name: str, *shape: int) -> None:
        writer.add_tensor(name, weights(*shape))

    def add_norm(name: str) -> None:
        writer.add_tensor(name, numpy.ones(_WIDTH, dtype=numpy.float32))

    add("token_embd.weight", len(tokens), _WIDTH)
    for layer in range(_LAYERS):
        for part in ("attn_q", "attn_k", "attn_v", "attn_output"):
            add(f"blk.{layer}.{part}.weight", _WIDTH, _WIDTH)
        add(f"blk.{layer}.ffn_gate.weight", 2 * _WIDTH, _WIDTH)
        add(f"blk.{layer}.ffn_up.weight", 2 * _WIDTH, _WIDTH)
        add(f"blk.{layer}.ffn_down.weight", _WIDTH, 2 * _WIDTH)
        add_norm(f"blk.{layer}.attn_norm.weight")
        add_norm(f"blk.{layer}.ffn_norm.weight")
    add_norm("output_norm.weight")
    output = weights(len(tokens), _WIDTH)
    output[[kind in (gguf.TokenType.BYTE, gguf.TokenType.UNKNOWN) for kind in types]] = (
        0  # it reads them, but says words
    )
    writer.add_tensor("output.weight", output)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _vocabulary() -> tuple[list[bytes], list[float], list[int]]:
    import gguf

    kinds = gguf.TokenType
    special = [(b"<unk>", kinds.UNKNOWN), (b"<s>", kinds.CONTROL), (b"</s>", kinds.CONTROL)]
    single_bytes = [(f"<0x{byte:02X}>".encode(), kinds.BYTE) for byte in range(256)]
    words = [(f"▁{first}{second}".encode(), kinds.NORMAL) for first in _SYLLABLES for second in _SYLLABLES]
    vocabulary = [*special, *single_bytes, *words]
    return [token for token, _ in vocabulary], [-float(i) for i in range(len(vocabulary))], [k for _, k in vocabulary]


def _serve(model: str, *, embeddings: bool) -> None:
    import xllamacpp

    params = xllamacpp.CommonParams()
    params.model.path = model
    params.model_alias = {MODEL}
    params.port = 0
    params.n_parallel = 4
    params.n_ctx = 4 * _CONTEXT
    params.cpuparams.n_threads = 1
    params.warmup = False
    if embeddings:
        params.embedding = True
        params.pooling_type = xllamacpp.llama_pooling_type.LLAMA_POOLING_TYPE_MEAN
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    _serve(sys.argv[1], embeddings="embeddings" in sys.argv[2:])
