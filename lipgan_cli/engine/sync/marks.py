"""The marks that say of a film that a model made its mouth, and from what."""

from __future__ import annotations

import wave
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from lipgan_cli.engine.cache import content_hash
from lipgan_cli.engine.media.writer import NO_TAGS, Sound
from lipgan_cli.engine.progress import Progress
from lipgan_cli.engine.provenance.credentials import sign
from lipgan_cli.engine.provenance.identity import WORTH, Identity, choose_identity
from lipgan_cli.engine.provenance.origin import Origin, Statement
from lipgan_cli.engine.provenance.sidecar import embeds, sidecar_of
from lipgan_cli.engine.provenance.soundmark import AMPLITUDE, RATE, identifier_of, period
from lipgan_cli.engine.provenance.tags import tags
from lipgan_cli.engine.sync.options import SyncOptions

NOT_MARKED = (
    "not marked as made by a model (--no-provenance): where the law asks for marks, such as "
    "Article 50 of the EU AI Act, they are yours to add"
)


@dataclass(frozen=True)
class Marks:
    """What the marks of all films of one face and one model have in common."""

    identity: Identity
    face: Path
    face_sha256: str
    model: str
    model_sha256: str
    consent_sha256: str | None

    def statement(self, speech: Path) -> Statement:
        """Return what is signed of a film with this speech.

        Raises:
            InputError: it cannot be read.
        """
        spoken = content_hash(speech)
        return Statement(
            model=self.model,
            model_sha256=self.model_sha256,
            face_sha256=self.face_sha256,
            speech_sha256=spoken,
            consent_sha256=self.consent_sha256,
            sound_mark=identifier_of(f"{self.face_sha256} {spoken} {self.model_sha256}"),
        )


@dataclass(frozen=True)
class FilmMarks:
    """The marks of one film; none where there is no identity."""

    identity: Identity | None = None
    origin: Origin | None = None
    mark: Path | None = None  # in the sound, mono, to be played again and again

    @property
    def tags(self) -> Mapping[str, str]:
        """What the container's own metadata say."""
        return NO_TAGS if self.identity is None else tags()

    def lay_under(self, sound: Sound) -> Sound:
        """Return a sound with the mark."""
        return sound if self.mark is None else replace(sound, mark=self.mark, room=1 - AMPLITUDE)

    def sign(self, film: Path, final: Path) -> Path | None:
        """Sign a finished film in place; return the file of its credentials if it is beside it.

        Raises:
            LipganError: it cannot be written.
        """
        if self.identity is None or self.origin is None:
            if not embeds(final):  # those of a film that this one replaces
                sidecar_of(final).unlink(missing_ok=True)
            return None
        return sign(film, final, self.origin, self.identity)


@contextmanager
def marked(marks: Marks | None, speech: Path) -> Iterator[FilmMarks]:
    """Give the marks of a film with this speech."""
    if marks is None:
        yield FilmMarks()
        return
    stated = marks.statement(speech)
    assert stated.sound_mark is not None
    with TemporaryDirectory(prefix="lipgan-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / "mark.wav"
        with wave.open(str(path), "wb") as file:
            file.setparams((1, 2, RATE, 0, "NONE", ""))
            samples = np.rint(period(stated.sound_mark) * 32767)
            file.writeframes(samples.astype("<i2").tobytes())
        yield FilmMarks(marks.identity, Origin(stated, marks.face, speech), path)


def tell(marks: Marks | None, progress: Progress, worth: bool = True) -> None:
    """Tell what the user should know of the marks of films; worth: of the own authority, too."""
    if marks is None:
        progress.note(NOT_MARKED)
        return
    for note in marks.identity.notes:
        progress.note(note)
    if worth and marks.identity.own:
        progress.note(WORTH)


def choose_marks(options: SyncOptions) -> Marks | None:
    """Return the marks of films of a face; None where none are wanted.

    Raises:
        InputError: a file cannot be read, or the certificate cannot sign.
    """
    if not options.marks.provenance:
        return None
    certificate, key, consent = (
        None if path is None else Path(path)
        for path in (options.marks.sign_cert, options.marks.sign_key, options.marks.consent)
    )
    identity = choose_identity(certificate, key)
    weights = options.generator
    return Marks(
        identity=identity,
        face=Path(options.face),
        face_sha256=content_hash(Path(options.face)),
        model="lipgan" if options.weights is None else weights.name,
        model_sha256=content_hash(weights),
        consent_sha256=None if consent is None else content_hash(consent),
    )
