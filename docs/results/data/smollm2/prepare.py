"""Writes the model and the texts of the study beside this file into the current folder.

python prepare.py GGUF_FOLDER SPEECHES_FOLDER
"""

import shutil
import sys
from pathlib import Path
from pydoc_data.topics import topics

import numpy as np
import torch

GGUF = "SmolLM2-135M-Instruct.Q4_1.gguf"


def write_model(folder: Path) -> None:
    """The quantised weights as float32, in a folder that transformers reads."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    model = AutoModelForCausalLM.from_pretrained(folder, gguf_file=GGUF, dtype=torch.float32)
    # The weights are float32 now; with the quantisation in its configuration the model could not be saved.
    model.hf_quantizer = None
    if hasattr(model.config, "quantization_config"):
        del model.config.quantization_config
    model.save_pretrained("model")
    AutoTokenizer.from_pretrained(folder, gguf_file=GGUF).save_pretrained("model")


def write_texts(folder: Path) -> None:
    """Speeches since 1945: 24 drawn at random to evaluate on, the others to calibrate on."""
    speeches = sorted(path for path in folder.glob("*.txt") if int(path.stem[:4]) >= 1945)
    order = np.random.default_rng(0).permutation(len(speeches))
    for part, chosen in (("evaluation", order[:24]), ("calibration", order[24:])):
        Path(part).mkdir()
        for i in chosen:
            shutil.copy(speeches[i], part)
    Path("documentation.txt").write_text("\n\n".join(topics.values()), encoding="utf-8")


if __name__ == "__main__":
    write_model(Path(sys.argv[1]))
    write_texts(Path(sys.argv[2]))
