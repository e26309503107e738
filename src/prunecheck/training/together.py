"""Several trainings of one kind on a GPU: how many at a time, and what happens where their steps cannot be recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from prunecheck.training.dynamic import UNLIKE_FIXED
from prunecheck.training.loop import Training, train_all
from prunecheck.training.recorded import Gpu, Recorder, Unrecordable, one_by_one
from prunecheck.training.stream_feed import StreamFeed

MOST_TOGETHER = 8
"""more gained nothing on the one card that was measured, see docs/performance.md"""
WORTH = 0.97
"""twice as many are taken if each then takes at most this share of the time"""
SHARE_OF_MEMORY = 0.8
"""of what is free, for recordings; the rest is for evaluations and checkpoints"""


@dataclass
class Together:
    """Trains on one GPU. ``most``: how many at a time; None to find out for every kind of training by a short probe.

    The number changes no bit of any training, so nothing of this is in a key.
    """

    gpu: Gpu
    most: int | None = None
    found: dict[str, int] = field(default_factory=dict)
    """kind of training -> how many at a time"""

    def train(self, trainings: Sequence[Training], kind: str) -> Iterator[Training]:
        """Train in place; yields each training as it ends. ``kind``: equal for trainings that take equally long and
        much. Raises what the device raises where there is too little memory for one."""
        waiting = []
        for training in trainings:
            if training.ended:
                yield training
            elif training.group is not None:
                training.eager_reason = "several processes train it"
                yield from train_all([training])
            elif isinstance(training.train_feed, StreamFeed):
                training.eager_reason = "its images are read from the disk"
                yield from train_all([training])
            elif training.changing is not None:
                yield from _eagerly(training, UNLIKE_FIXED)
            else:
                waiting.append(training)
        while waiting:
            try:
                count = self.most or self.found.get(kind) or self._probe(waiting, kind)
                part, recorder = waiting[:count], Recorder(self.gpu)
                if not self._prepared(recorder, part, kind):
                    continue
            except Unrecordable as why:
                for training in waiting:
                    yield from _eagerly(training, str(why))
                return
            yield from train_all(part, recorder)
            waiting = waiting[count:]

    def _prepared(self, recorder: Recorder, part: Sequence[Training], kind: str) -> bool:
        """False where there is too little memory: fewer are tried from then on."""
        try:
            recorder.prepare(part)
        except RuntimeError as error:
            if not self.gpu.is_out_of_memory(error) or len(part) == 1:
                raise
            recorder.release()
            self.most, self.found[kind] = None, len(part) // 2
            return False
        return True

    def _probe(self, trainings: Sequence[Training], kind: str) -> int:
        """Record one training, then twice as many as long as that is faster and there is memory for it."""
        best, fastest, full = 1, float("inf"), False
        count = 1
        while count <= min(MOST_TOGETHER, len(trainings)):
            recorder, free, held = Recorder(self.gpu), self.gpu.free_bytes(), self.gpu.held_bytes()
            part = trainings[:count]
            try:
                recorder.prepare(part)
            except RuntimeError as error:
                if not self.gpu.is_out_of_memory(error) or count == 1:
                    raise
                full = True
                break
            seconds, taken = recorder.seconds(part) / count, self.gpu.held_bytes() - held
            recorder.release()
            if seconds > WORTH * fastest:
                full = True
                break
            best, fastest = count, seconds
            if 2 * taken > SHARE_OF_MEMORY * free:
                full = True
                break
            count *= 2
        # Where trainings ran out first, more may be better another time.
        if full or best == MOST_TOGETHER:
            self.found[kind] = best
        return best


def _eagerly(training: Training, why: str) -> Iterator[Training]:
    training.eager_reason = why
    return train_all([training], one_by_one)
