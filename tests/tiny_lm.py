"""A small language model that reads bytes, and text for it: Python's own documentation."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from pydoc_data.topics import topics

import torch
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

WIDTH, HEADS, DEPTH, CONTEXT = 48, 4, 2, 64


class Block(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.before_attention, self.before_mlp = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.qkv, self.out = nn.Linear(WIDTH, 3 * WIDTH, bias=False), nn.Linear(WIDTH, WIDTH, bias=False)
        self.up, self.down = nn.Linear(WIDTH, 2 * WIDTH, bias=False), nn.Linear(2 * WIDTH, WIDTH, bias=False)

    def forward(self, hidden: Tensor) -> Tensor:
        n, length, _ = hidden.shape
        parts = self.qkv(self.before_attention(hidden)).chunk(3, dim=-1)
        q, k, v = (part.reshape(n, length, HEADS, -1).transpose(1, 2) for part in parts)
        seen = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        hidden = hidden + self.out(seen.transpose(1, 2).reshape(n, length, WIDTH))
        return hidden + self.down(F.gelu(self.up(self.before_mlp(hidden))))


class TinyLM(nn.Module):
    vocabulary = 256
    context = CONTEXT
    prefix_token = 10

    def __init__(self) -> None:
        super().__init__()
        self.embedding, self.places = nn.Embedding(256, WIDTH), nn.Embedding(CONTEXT, WIDTH)
        self.blocks = nn.ModuleList(Block() for _ in range(DEPTH))
        self.norm, self.head = nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 256, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        hidden = self.embedding(tokens) + self.places(torch.arange(tokens.shape[1]))
        for block in self.blocks:
            hidden = block(hidden)
        return self.head(self.norm(hidden))


def texts() -> tuple[list[str], list[str]]:
    """Calibration and evaluation documents that share no text."""
    times = Counter(line for text in topics.values() for line in set(text.splitlines()))
    every = sorted(topics.items())
    alone = [n for n, text in every if all(times[line] == 1 for line in text.splitlines() if len(line) > 30)]
    held_out = set([name for name in alone if len(topics[name]) > 1000][:6])
    return [text for name, text in every if name not in held_out], [topics[name][:1500] for name in sorted(held_out)]


def write_jsonl(path: Path, documents: list[str]) -> None:
    path.write_text("\n".join(json.dumps({"text": text}) for text in documents), encoding="utf-8")


def write_example(folder: Path, steps: int = 80) -> None:
    """``tiny.safetensors`` (trained for so many steps), ``calibration.jsonl`` and ``evaluation.jsonl``."""
    calibration, evaluation = texts()
    write_jsonl(folder / "calibration.jsonl", calibration)
    write_jsonl(folder / "evaluation.jsonl", evaluation)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = TinyLM()
        data = torch.frombuffer(bytearray("\n".join(calibration).encode()), dtype=torch.uint8).long()
        optimiser = torch.optim.AdamW(model.parameters(), lr=6e-3)
        for _ in range(steps):
            starts = torch.randint(len(data) - CONTEXT - 1, (8,))
            batch = torch.stack([data[start : start + CONTEXT + 1] for start in starts])
            loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    save_file(model.state_dict(), folder / "tiny.safetensors")
