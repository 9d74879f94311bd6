"""A message becomes a film.

A message of several phrases, some of which others share, is filmed in pieces. A shared piece is
filmed once for every place of the recording at which it begins, and those places are few: messages
begin where in the recording they must, and pauses are stretched, so that shared pieces begin at
whole steps. Pieces meet in a pause, with the mouth at rest, and the recording goes on over the
join, so that neither picture nor sound jumps.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
import soundfile
import soxr

from lipgan_cli.engine.campaign.messages import Message
from lipgan_cli.engine.campaign.options import CampaignOptions
from lipgan_cli.engine.campaign.quality import Evidence, Quality, Witness, assess
from lipgan_cli.engine.campaign.sheet import portrait, speaking_frame
from lipgan_cli.engine.campaign.speaking import RATE, Part
from lipgan_cli.engine.campaign.stage import Stage
from lipgan_cli.engine.media.audio import SAMPLE_RATE, Samples, read_audio
from lipgan_cli.engine.media.choices import Fit
from lipgan_cli.engine.media.footage import Footage, span
from lipgan_cli.engine.media.joining import encoder, join
from lipgan_cli.engine.media.loudness import loudness
from lipgan_cli.engine.media.lufs import integrated, levelled
from lipgan_cli.engine.media.playback import Playlist, ahead
from lipgan_cli.engine.media.writer import Sound, VideoWriter
from lipgan_cli.engine.progress import Silent
from lipgan_cli.engine.sync import READY, ambience, picture_of, playlist_of, tell_missing
from lipgan_cli.engine.sync.marks import marked
from lipgan_cli.engine.sync.speech import Speech, hear
from lipgan_cli.engine.sync.stopwatch import Stopwatch

STEP_SECONDS = 0.4
"""Shared pieces begin at whole multiples of this in the recording; no pause grows by more."""
REST_SECONDS = 0.2
"""Before and after what is heard: from there on the mouth is at rest."""


@dataclass(frozen=True, eq=False)
class Filmed:
    """What is known of a film that has just been made."""

    frames: int
    seconds: float
    warnings: tuple[str, ...]
    quality: Quality
    moment: int  # the frame that shows the face in mid-speech
    face: tuple[float, float, float] | None  # centre and side of its square there, pixels
    portrait: bytes | None  # that face as a JPEG, where it was painted just now


@dataclass(frozen=True, eq=False)
class _Piece:
    """A phrase, and which of the message's frames show it being spoken."""

    part: Part
    first: int
    frames: int


class _Warnings(Silent):
    """Keeps what is told of one message."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def note(self, message: str) -> None:
        self.told.append(message)


def film(message: Message, stage: Stage, output: Path, final: Path) -> Filmed:
    """Film a message into `output`, which is written in place and to be renamed to `final`.

    Raises:
        InputError: its sound or its part of the recording cannot be used.
        LipganError: the voice or the encoder fails, or the campaign was stopped.
    """
    stage.check()
    footage = stage.presenter.footage
    first, last = span(footage.info, footage.clock, *message.span)
    stretch = footage.part(first, last)
    with TemporaryDirectory(prefix="lipgan-", ignore_cleanup_errors=True) as folder:
        work = _Work(stage, stretch, first, Path(folder), output, final)
        if message.audio is not None:
            return work.whole(message.audio, read_audio(message.audio, sample_rate=RATE))
        assert stage.speaker is not None
        parts = stage.speaker.parts(message.phrases)
        shares = len(parts) > 1 and any(part.shared for part in parts)
        if shares and _joins(stage.options, footage):
            return work.joined(parts)
        samples = work.levelled(np.concatenate([part.samples for part in parts]))
        return work.whole(_write(samples, work.folder), samples)


@dataclass(frozen=True, eq=False)
class _Work:
    """The making of one film."""

    stage: Stage
    stretch: Footage  # the part of the recording that the message uses, by its clock
    begins: int  # frame of the recording at which the stretch does
    folder: Path  # for what is needed in between
    output: Path
    final: Path  # what the output is to be renamed to

    def whole(self, path: Path, samples: Samples) -> Filmed:
        """Film a message in one go; samples: what is in the file, at 48 kHz."""
        speech = self._hear(path, samples)
        shown = self._shown(speech.seconds, path)
        seconds = shown.end * self.stretch.clock.base
        missing = self._missing(shown)
        moment = self._moment(samples, 0, len(shown))
        sound = self._sound(path, seconds, speech.loudness)
        coding, picture = self.stage.options.film.coding, picture_of(self.stretch)
        with marked(self.stage.marks, path) as marks:
            laid = marks.lay_under(sound)
            with VideoWriter(self.output, picture, laid, coding, marks.tags) as writer:
                evidence, face = self._paint(shown, speech, writer, moment)
            marks.sign(self.output, self.final)
        return self._filmed(shown, seconds, [(0.0, evidence)], samples, moment, face, missing)

    def joined(self, parts: Sequence[Part]) -> Filmed:
        """Film a message piece by piece, shared ones once for all messages."""
        fps = self.stretch.clock.fps
        lead, pieces = _laid(parts, fps)
        total = pieces[-1].first + pieces[-1].frames
        samples = self.levelled(_sounding(pieces, fps))
        path = _write(samples, self.folder)
        shown = self._shown((lead + total) / fps, path).part(lead, lead + total)
        missing = self._missing(shown)
        personal = max(pieces, key=lambda piece: (not piece.part.shared, piece.frames))
        moment = self._moment(personal.part.samples, personal.first, personal.frames)
        films, seen, face = [], [], None
        for number, piece in enumerate(pieces):
            here = shown.part(piece.first, piece.first + piece.frames)
            coded = self.folder / f"{number}{self.output.suffix}"
            if piece.part.shared:
                evidence = self._shared(piece, here, coded)
            else:
                at = moment - piece.first if piece is personal else None
                evidence, drawn = self._film(piece, here, coded, at)
                face = drawn or face
            films.append(coded)
            seen.append((float(piece.first / fps), evidence))
        level = loudness(soxr.resample(samples, RATE, SAMPLE_RATE))
        sound = self._sound(path, total / fps, level, lead)
        coding = self.stage.options.film.coding
        with marked(self.stage.marks, path) as marks:
            join(films, fps, marks.lay_under(sound), self.output, coding, marks.tags)
            marks.sign(self.output, self.final)
        return self._filmed(shown, total / fps, seen, samples, moment, face, missing)

    def levelled(self, samples: Samples) -> Samples:
        """Return what is spoken at its loudness: its pauses have made it softer than its phrases.

        What the network hears of a phrase is levelled apart, so that shared pieces stay the same.
        """
        return levelled(samples, RATE, self.stage.options.loudness_lufs)

    def _shared(self, piece: _Piece, shown: Playlist, coded: Path) -> Evidence:
        """Film a shared piece, or take it from where it was kept."""
        presenter = self.stage.presenter
        seen = (shown.places, shown.incoming, shown.share, presenter.found.film.squares)
        return self.stage.once(
            key={
                "piece": hashlib.sha256(b"".join(each.tobytes() for each in seen)).hexdigest(),
                "sound": piece.part.key,
                "container": coded.suffix,
                "landmarks": presenter.landmarks is not None,
                "encoder": encoder(),  # what another one has coded may not be joined
            },
            coded=coded,
            make=lambda: self._film(piece, shown, coded, None)[0],
        )

    def _film(
        self, piece: _Piece, shown: Playlist, coded: Path, moment: int | None
    ) -> tuple[Evidence, bytes | None]:
        """Film a piece without sound."""
        speech = self._hear(coded, piece.part.samples)
        coding = self.stage.options.film.coding
        with VideoWriter(coded, picture_of(self.stretch), None, coding) as writer:
            return self._paint(shown, speech, writer, moment)

    def _paint(
        self, shown: Playlist, speech: Speech, writer: VideoWriter, moment: int | None
    ) -> tuple[Evidence, bytes | None]:
        stage, film = self.stage, self.stage.presenter.found.film
        witness = Witness(film, stage.judge)
        face = None
        painter = stage.presenter.painter(speech, stage.options.film, Stopwatch(), again=True)
        with closing(ahead(painter.frames(shown), READY)) as painted:
            for number, (frame, tick) in enumerate(painted):
                stage.check()
                place = int(shown.places[number])
                source = None
                if witness.wants_source(number) and shown.incoming[number] < 0:
                    source = stage.presenter.footage.held_frame(place)
                witness.see(place, source, frame, tick * float(self.stretch.clock.base))
                if number == moment:
                    face = portrait(frame, self._square(place))
                writer.write(frame, tick)
        return witness.evidence(), face

    def _hear(self, path: Path, samples: Samples) -> Speech:
        heard = soxr.resample(samples, RATE, SAMPLE_RATE)
        offset = self.stage.options.film.av_offset_ms / 1000
        return hear(path, heard, offset, self.stage.stopped.is_set)

    def _shown(self, seconds: Fraction, path: Path) -> Playlist:
        """Return how the recording is played, by its own frames."""
        shown = playlist_of(self.stretch, path, seconds, Fit(self.stage.options.film.fit))
        incoming = np.where(shown.incoming < 0, -1, shown.incoming + self.begins)
        return replace(shown, places=shown.places + self.begins, incoming=incoming)

    def _missing(self, shown: Playlist) -> list[str]:
        """Return what is to be told of frames without a face."""
        warnings = _Warnings()
        tell_missing(self.stage.presenter, shown, self.stage.options.film, warnings)
        return warnings.told

    def _sound(self, path: Path, seconds: Fraction, level: float | None, lead: int = 0) -> Sound:
        """Return the sound of a film that begins `lead` frames after the stretch."""
        keep, frames = self.stage.options.film.keep_audio, self.stretch.clock.frames
        shown = self.stretch.part(min(lead, frames - 1), frames)
        return Sound(path, float(seconds), ambience(shown, level, seconds, keep))

    def _moment(self, samples: Samples, first: int, frames: int) -> int:
        return first + speaking_frame(samples, RATE, float(self.stretch.clock.fps), frames)

    def _square(self, place: int) -> tuple[float, float, float] | None:
        x, y, side = self.stage.presenter.found.film.squares[place][:3].tolist()
        return None if math.isnan(side) else (x, y, side)

    def _filmed(
        self,
        shown: Playlist,
        seconds: Fraction,
        seen: Sequence[tuple[float, Evidence]],
        samples: Samples,
        moment: int,
        face: bytes | None,
        warnings: Sequence[str],
    ) -> Filmed:
        heard = soxr.resample(samples, RATE, SAMPLE_RATE)
        return Filmed(
            frames=len(shown),
            seconds=float(seconds),
            warnings=tuple(warnings),
            quality=assess(seen, heard, self.stage.judge, integrated(samples, RATE)),
            moment=moment,
            face=self._square(int(shown.places[moment])),
            portrait=face,
        )


def _joins(options: CampaignOptions, footage: Footage) -> bool:
    """Return whether pieces can meet: they last as they like, and meet with the mouth at rest."""
    film = options.film
    free = footage.clock.constant and Fit(film.fit) not in (Fit.TRIM, Fit.ERROR)
    return free and options.pause_seconds / 2 - abs(film.av_offset_ms) / 1000 >= REST_SECONDS


def _laid(parts: Sequence[Part], fps: Fraction) -> tuple[int, list[_Piece]]:
    """Return how many frames of the recording are skipped first, and where each phrase is spoken.

    Every phrase fills whole frames. The first shared one begins at a whole step because the message
    begins later in the recording, the others because the pause before them is longer.
    """
    step = max(1, math.floor(STEP_SECONDS * fps))
    frames = [math.ceil(Fraction(len(part.samples), RATE) * fps) for part in parts]
    shared = [number for number, part in enumerate(parts) if part.shared]
    lead = -sum(frames[: shared[0]]) % step
    at = lead
    for number in range(len(parts)):
        if number in shared[1:]:
            frames[number - 1] += -at % step
            at += -at % step
        at += frames[number]
    firsts = np.cumsum([0, *frames[:-1]]).tolist()
    pieces = zip(parts, firsts, frames, strict=True)
    return lead, [_Piece(part, first, count) for part, first, count in pieces]


def _sounding(pieces: Sequence[_Piece], fps: Fraction) -> Samples:
    """Return the sound of a message: each phrase from where its frames begin on."""
    end = pieces[-1].first + pieces[-1].frames
    samples = np.zeros(math.floor(end / fps * RATE), np.float32)
    for piece in pieces:
        first = math.floor(piece.first / fps * RATE)
        samples[first : first + len(piece.part.samples)] = piece.part.samples
    return samples


def _write(samples: Samples, folder: Path) -> Path:
    path = folder / "speech.wav"
    soundfile.write(path, samples, RATE, subtype="FLOAT")
    return path
