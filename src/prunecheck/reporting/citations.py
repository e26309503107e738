"""Who to cite: the procedure's sources always, a method's paper where the study uses the method."""

from __future__ import annotations

from collections.abc import Iterable

PROCEDURE = ("su2020sanity", "goeman2010three", "schuirmann1987comparison", "smyth2004linear", "holm1979simple")

PAPERS_OF = {
    "random_ticket": ("su2020sanity",),
    "hybrid": ("su2020sanity", "renda2020comparing"),
    "snip": ("lee2019snip",),
    "grasp": ("wang2020picking",),
    "synflow": ("tanaka2020pruning",),
    "magnitude": ("frankle2019lottery",),
    "lottery_ticket": ("frankle2019lottery",),
    "lt": ("frankle2019lottery",),
    "imp": ("frankle2019lottery",),
    "weight_rewinding": ("frankle2020linear",),
    "lr_rewinding": ("renda2020comparing",),
    "learning_rate_rewinding": ("renda2020comparing",),
}

ENTRIES = {
    "frankle2019lottery": """@inproceedings{frankle2019lottery,
  title     = {The Lottery Ticket Hypothesis: Finding Sparse, Trainable Neural Networks},
  author    = {Frankle, Jonathan and Carbin, Michael},
  booktitle = {International Conference on Learning Representations},
  year      = {2019},
  note      = {arXiv:1803.03635}
}""",
    "frankle2020linear": """@inproceedings{frankle2020linear,
  title     = {Linear Mode Connectivity and the Lottery Ticket Hypothesis},
  author    = {Frankle, Jonathan and Dziugaite, Gintare Karolina and Roy, Daniel M. and Carbin, Michael},
  booktitle = {International Conference on Machine Learning},
  year      = {2020},
  note      = {arXiv:1912.05671}
}""",
    "goeman2010three": """@article{goeman2010three,
  title   = {Three-Sided Hypothesis Testing: Simultaneous Testing of Superiority, Equivalence and Inferiority},
  author  = {Goeman, Jelle J. and Solari, Aldo and Stijnen, Theo},
  journal = {Statistics in Medicine},
  volume  = {29},
  number  = {20},
  pages   = {2117--2125},
  year    = {2010}
}""",
    "holm1979simple": """@article{holm1979simple,
  title   = {A Simple Sequentially Rejective Multiple Test Procedure},
  author  = {Holm, Sture},
  journal = {Scandinavian Journal of Statistics},
  volume  = {6},
  number  = {2},
  pages   = {65--70},
  year    = {1979}
}""",
    "lee2019snip": """@inproceedings{lee2019snip,
  title     = {{SNIP}: Single-Shot Network Pruning Based on Connection Sensitivity},
  author    = {Lee, Namhoon and Ajanthan, Thalaiyasingam and Torr, Philip H. S.},
  booktitle = {International Conference on Learning Representations},
  year      = {2019},
  note      = {arXiv:1810.02340}
}""",
    "renda2020comparing": """@inproceedings{renda2020comparing,
  title     = {Comparing Rewinding and Fine-tuning in Neural Network Pruning},
  author    = {Renda, Alex and Frankle, Jonathan and Carbin, Michael},
  booktitle = {International Conference on Learning Representations},
  year      = {2020},
  note      = {arXiv:2003.02389}
}""",
    "schuirmann1987comparison": """@article{schuirmann1987comparison,
  title   = {A Comparison of the Two One-Sided Tests Procedure and the Power Approach for Assessing the Equivalence
             of Average Bioavailability},
  author  = {Schuirmann, Donald J.},
  journal = {Journal of Pharmacokinetics and Biopharmaceutics},
  volume  = {15},
  number  = {6},
  pages   = {657--680},
  year    = {1987}
}""",
    "smyth2004linear": """@article{smyth2004linear,
  title   = {Linear Models and Empirical {Bayes} Methods for Assessing Differential Expression in Microarray
             Experiments},
  author  = {Smyth, Gordon K.},
  journal = {Statistical Applications in Genetics and Molecular Biology},
  volume  = {3},
  number  = {1},
  year    = {2004}
}""",
    "su2020sanity": """@inproceedings{su2020sanity,
  title     = {Sanity-Checking Pruning Methods: Random Tickets Can Win the Jackpot},
  author    = {Su, Jingtong and Chen, Yihang and Cai, Tianle and Wu, Tianhao and Gao, Ruiqi and Wang, Liwei and
               Lee, Jason D.},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {33},
  year      = {2020},
  note      = {arXiv:2009.11094}
}""",
    "tanaka2020pruning": """@inproceedings{tanaka2020pruning,
  title     = {Pruning Neural Networks without Any Data by Iteratively Conserving Synaptic Flow},
  author    = {Tanaka, Hidenori and Kunin, Daniel and Yamins, Daniel L. K. and Ganguli, Surya},
  booktitle = {Advances in Neural Information Processing Systems},
  volume    = {33},
  year      = {2020},
  note      = {arXiv:2006.05467}
}""",
    "wang2020picking": """@inproceedings{wang2020picking,
  title     = {Picking Winning Tickets Before Training by Preserving Gradient Flow},
  author    = {Wang, Chaoqi and Zhang, Guodong and Grosse, Roger},
  booktitle = {International Conference on Learning Representations},
  year      = {2020},
  note      = {arXiv:2002.07376}
}""",
}


def papers(method: str) -> tuple[str, ...]:
    """The citation keys of a method by its name; a variant (``lr_rewinding-imp``) cites its stem. Unknown: none."""
    plain = method.lower().replace("-", "_").replace(" ", "_")
    stems = [stem for stem in PAPERS_OF if plain == stem or plain.startswith(stem + "_")]
    return PAPERS_OF[max(stems, key=len)] if stems else ()


def keys(methods: Iterable[str]) -> list[str]:
    """The citation keys a study needs, sorted."""
    return sorted({*PROCEDURE, *(key for method in methods for key in papers(method))})
