"""What was measured on stimuli, for pages of units: gathered in the worker's thread, kept for the pages looked at last.

Pictures are served by the id of their content; maps of where in a picture a unit is active are measured when a browser asks
for one. What this module does not do: decide what a page shows (`units` and the report's templates do).
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Any, Generic, TypeVar
from urllib.parse import quote

from maieutic.campaign import Run
from maieutic.report.confusion import Confusion, keep_confusion, measured_confusion
from maieutic.report.gather import KEPT, Closed, Evidence, Heat, has_maps, heat_maps, kept_picture
from maieutic.report.images import Picture, ceiling, overlay_of, shrunk, shrunk_size, webp
from maieutic.report.links import quoted
from maieutic.report.model import ReportImage, ReportUnit
from maieutic.report.transcripts import PICTURE, SEEN
from maieutic.view.opening import Opened
from maieutic.view.working import Worker

#: pages whose evidence is kept, and pictures (about 15 kB each)
_PAGES, _PICTURES = 48, 2000
T = TypeVar("T")


class Recent(Generic[T]):
    """Answers by key, the last so many; one under way is shared by all who ask for it. What failed is asked for again."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._kept: OrderedDict[Hashable, Future[T]] = OrderedDict()
        self._lock = threading.Lock()

    def once(self, key: Hashable, start: Callable[[], Future[T]]) -> Future[T]:
        """The answer, perhaps to come."""
        with self._lock:
            found = self._kept.get(key)
            if found is None or (found.done() and (found.cancelled() or found.exception() is not None)):
                found = self._kept[key] = start()
            self._kept.move_to_end(key)
            while len(self._kept) > self._most:
                self._kept.popitem(last=False)
            return found

    def put(self, key: Hashable, value: T) -> None:
        """Keep an answer that was found otherwise."""
        done: Future[T] = Future()
        done.set_result(value)
        self.once(key, lambda: done)

    def get(self, key: Hashable) -> T | None:
        """An answer that is there."""
        with self._lock:
            found = self._kept.get(key)
        return None if found is None or not found.done() or found.exception() is not None else found.result()


@dataclass(kw_only=True)
class Shelf:
    """The evidence of one run: what was gathered lately.

    Attributes:
        opened: the run.
        worker: runs its model.
    """

    opened: Opened
    worker: Worker
    measured: Recent[ReportUnit] = field(default_factory=lambda: Recent[ReportUnit](_PAGES))
    maps: Recent[Heat] = field(default_factory=lambda: Recent[Heat](_PAGES))
    pictures: Recent[tuple[bytes, int, int]] = field(default_factory=lambda: Recent[tuple[bytes, int, int]](_PICTURES))
    _evidence: tuple[Run, Evidence] | None = None
    _stimuli: tuple[Run, dict[str, Any]] | None = None

    def stored(self, shown: ReportUnit) -> ReportUnit:
        """The unit with what its run folder says; texts are split into tokens where the model is there."""
        return self._gatherer(self.opened.run()).stored(shown)

    def measure(self, run: Run, shown: ReportUnit) -> Future[ReportUnit]:
        """The unit with exemplars, histogram and neighbours, perhaps to come."""
        work = partial(self._measure, run, shown)
        return self.measured.once((shown.key, shown.explainer), lambda: self.worker.submit(work))

    def _measure(self, run: Run, shown: ReportUnit) -> ReportUnit:
        found = self._gatherer(run).measured(shown)
        for e in found.exemplars:  # made here, so that the page need not wait for each
            if isinstance(e.shown, ReportImage):
                self.small(e.shown)
        return found

    def with_measured(self, stored: ReportUnit, measured: ReportUnit) -> ReportUnit:
        """What is stored now, with what was measured."""
        return replace(
            stored, scale=measured.scale, exemplars=measured.exemplars, histogram=measured.histogram,
            neighbours=measured.neighbours,
        )  # fmt: skip

    def _gatherer(self, run: Run | None) -> Evidence:
        if run is None:
            closed = Closed(store=self.opened.store, why=self.opened.why or "")
            return Evidence.of(self.opened.records(), closed, "", heat=False)
        if self._evidence is None or self._evidence[0] is not run:
            self._evidence = (run, Evidence.of(self.opened.records(), run, "", heat=False))
        return self._evidence[1]

    # --- confusion -------------------------------------------------------------------------------------------------
    def confuse(self, run: Run, shown: ReportUnit) -> Future[Confusion | str]:
        """Run the unit's predicate over the test split, and keep what came of it."""
        return self.worker.submit(partial(self._confuse, run, shown))

    def _confuse(self, run: Run, shown: ReportUnit) -> Confusion | str:
        unit = next((u for u in run.units if u.key == shown.key), None)
        if unit is None:
            return "the unit was added after the run was opened"
        made = measured_confusion(run, unit, shown.explainer)
        if isinstance(made, Confusion):
            keep_confusion(self.opened.records(), shown.key, shown.predicate_json, made)
        return made

    # --- pictures --------------------------------------------------------------------------------------------------
    def small(self, image: ReportImage) -> tuple[bytes, int, int]:
        """A small copy of a picture with its size."""
        kept = self.pictures.get(image.id)
        if kept is None:
            picture = shrunk(image.load())
            kept = webp(picture), picture.width, picture.height
            self.pictures.put(image.id, kept)
        return kept

    def size(self, image: ReportImage) -> tuple[int, int]:
        """How large it is shown: from the file's head where it is a file."""
        kept = self.pictures.get(image.id)
        if kept is not None:
            return kept[1], kept[2]
        path = self._file(image.id)
        if path is None:
            return self.small(image)[1:]
        from PIL import Image

        with Image.open(path) as picture:
            return shrunk_size(*picture.size)

    def picture(self, name: str) -> bytes | None:
        """The small copy of a picture by its id, or ``None`` where the run has none of that name."""
        kept = self.pictures.get(name)
        if kept is not None:
            return kept[0]
        path = self._file(name)
        if path is not None:
            from PIL import Image

            return self.small(ReportImage(load=lambda: Image.open(path), id=name))[0]
        stimulus = self._stimulus(name)
        return None if stimulus is None else self.small(ReportImage(load=stimulus.load, id=name))[0]

    def _file(self, name: str) -> Path | None:
        """The file of a picture that the run folder keeps."""
        path = None
        if name.startswith(KEPT) and name.removeprefix(KEPT).isalnum():
            path = kept_picture(self.opened.folder, name.removeprefix(KEPT))
        elif name.startswith(SEEN) and PICTURE.fullmatch(name.removeprefix(SEEN)):
            path = self.opened.folder / "transcripts" / "pictures" / name.removeprefix(SEEN)
        return path if path is not None and path.is_file() else None

    def _stimulus(self, name: str) -> Any:
        run = self.opened.run()
        if run is None or run.subject.modality != "image":
            return None
        if self._stimuli is None or self._stimuli[0] is not run:
            self._stimuli = (run, {s.id: s for s in run.corpus})
        return self._stimuli[1].get(name)

    def heat(self, key: str, name: str) -> Future[bytes | None] | None:
        """The overlay of an exemplar of a unit: where it is active; ``None`` where there is no such thing."""
        run = self.opened.run()
        unit = None if run is None else next((u for u in run.units if u.key == key), None)
        if run is None or unit is None or not has_maps(run, unit):
            return None
        done: Future[bytes | None] = Future()

        def finish(found: Future[Heat]) -> None:
            try:
                done.set_result(self._overlay(found.result(), key, name))
            except BaseException as error:  # whoever asked is told
                done.set_exception(error)

        work = partial(heat_maps, run, [unit])
        self.maps.once(key, lambda: self.worker.submit(work)).add_done_callback(finish)
        return done

    def _overlay(self, maps: Heat, key: str, name: str) -> bytes | None:
        found, data = maps.get((key, name)), self.picture(name)
        kept = self.pictures.get(name)
        if found is None or data is None or kept is None:
            return None
        top = ceiling([ReportImage(load=_nothing, heat=m) for m in maps.values()])
        return webp(overlay_of(found, top, kept[1], kept[2]), quality=75) if top > 0 else None


@dataclass(kw_only=True)
class Served:
    """The pictures of a page as addresses of the app; an exemplar's overlay is asked for by the browser."""

    shelf: Shelf
    unit: str
    heated: bool

    def picture(self, image: ReportImage, ceiling: float, /) -> Picture:
        base = self.shelf.opened.url
        width, height = self.shelf.size(image)
        heat = None
        if self.heated and not image.id.startswith((KEPT, SEEN)):
            heat = f"{base}/heat/{quoted(self.unit)}?picture={quote(image.id)}"
        return Picture(
            file=f"{base}/picture?id={quote(image.id)}", width=width, height=height, alt=image.alt, heat=heat
        )

    def copy(self, file: Path, /) -> str:
        return f"{self.shelf.opened.url}/log?file={quote(file.name)}"


def heated(run: Run | None, key: str) -> bool:
    """Whether exemplars of a unit have overlays."""
    unit = None if run is None else next((u for u in run.units if u.key == key), None)
    return run is not None and unit is not None and has_maps(run, unit)


def _nothing() -> Any:
    raise AssertionError("only the map is read")
