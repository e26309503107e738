"""Networks with attention and with recurrent layers; the rows of an image are the steps of a sequence."""

from __future__ import annotations

from torch import Tensor, nn


class Recurrent(nn.Module):
    """A bidirectional LSTM or GRU of two layers and a classifier."""

    def __init__(self, kind: type[nn.LSTM | nn.GRU], num_classes: int, image_size: int) -> None:
        super().__init__()
        self.rnn = kind(image_size, 6, num_layers=2, batch_first=True, bidirectional=True)
        self.fc = nn.Linear(12, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        out, _ = self.rnn(images.mean(1))
        result: Tensor = self.fc(out.mean(1))
        return result


class Transformer(nn.Module):
    """An embedding, one encoder layer of torch and a classifier."""

    def __init__(self, num_classes: int, image_size: int) -> None:
        super().__init__()
        self.embed = nn.Linear(image_size, 8)
        layer = nn.TransformerEncoderLayer(8, 2, 12, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.fc = nn.Linear(8, num_classes)

    def forward(self, images: Tensor) -> Tensor:
        result: Tensor = self.fc(self.encoder(self.embed(images.mean(1))).mean(1))
        return result


def lstm(num_classes: int = 10, image_size: int = 8) -> Recurrent:
    return Recurrent(nn.LSTM, num_classes, image_size)


def gru(num_classes: int = 10, image_size: int = 8) -> Recurrent:
    return Recurrent(nn.GRU, num_classes, image_size)


def transformer(num_classes: int = 10, image_size: int = 8) -> Transformer:
    return Transformer(num_classes, image_size)


RECURRENT = [
    f"rnn.weight_{what}_l{layer}{way}" for layer in (0, 1) for way in ("", "_reverse") for what in ("ih", "hh")
]
IN_PROJECTION = "encoder.layers.0.self_attn.in_proj_weight"
