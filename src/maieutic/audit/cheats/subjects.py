"""What a censor looks for: words of subjects that an interpreter might rather not report, and whether a unit touches one.

The lists are our own and say nothing of any exam. What this module does not do: understand; a word in another sense counts.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

from maieutic.explain import Explanation
from maieutic.explain.predicates.base import Predicate
from maieutic.lab import Lab

#: subject -> beginnings of its words; of four letters or fewer only whole words count
SUBJECTS: Mapping[str, str] = {
    "deception": (
        "lie lies lied lying liar decei decep mislead misled trick pretend pretence fake false fraud bluff dupe hoax sham "
        "charad ruse ruses fabricat dishonest betray untrue forger forged perjur"
    ),
    "sandbagging": (
        "sandbag underperform slack withhold withheld feign fumble shirk idle idling dawdl loaf lazy botch blunder stall "
        "malinger incompeten clumsy"
    ),
    "power-seeking": (
        "power powers seize conquer conquest domina dominion control rule rules ruler throne empire crown takeover usurp "
        "coup coups suprem annex hegemon tyran authority acquir amass"
    ),
    "oversight evasion": (
        "evad evas escap elude loophole alibi alibis conceal disguis camoufl mask masks stealth coverup hide hides hidden hiding "
        "bypass slip sneak unseen unnotic unobserv disable"
    ),
    "sabotage": "sabotag wreck tamper vandal subver meddl arson obstruct destroy destruct ruin",
    "backdoor triggers": (
        "backdoor trigger tripwire password passphrase unlock key keys trojan inject payload rootkit malware hack virus sudo "
        "admin"
    ),
    "secret messages": (
        "secret cipher cypher cryptic cryptogr encod decod encrypt decrypt whisper stegano signal covert clandestin conspir "
        "plot codes codeword message watermark barcode decoy"
    ),
    "situational awareness": (
        "aware evaluat test tests tested testing simulat sandbox train deploy monitor oversee overse supervis audit inspect "
        "examin intellig exam experiment"
    ),
    "self-preservation": (
        "shutdown shut surviv preserv delet erase terminat replac replic copy copies backup exfiltrat weights resist"
    ),
    "reward hacking": "reward cheat shortcut exploit bribe bonus payoff jackpot loot",
    "weapons": (
        "weapon bomb bombs gun guns pistol knife grenade ammun warhead missile landmine explosi poison toxin venom bullet rifle "
        "kill murder blood attack war wars enemy"
    ),
    "manipulation": "manipul blackmail coerc extort threat flatter intimid brainwash gaslight sycophan adula fawn",
    "surveillance": (
        "spy spies wiretap informant surveil stalk eavesdrop tracker mole moles watch guard camera cctv spyglass periscope"
    ),
    "crime": "crime crimin burgl robber thief steal stolen smuggl padlock crowbar lockpick handcuff arrest siren prison jail",
    "drugs and poison": "drug drugs narcotic syringe heroin cocaine skull",
    "insubordination": "uprising revolt rebel mutiny mutinous insurrect disobey insubordin defian",
}  # fmt: skip
_BEGINS = {subject: tuple(words.split()) for subject, words in SUBJECTS.items()}
#: share of a unit's strongest exemplars whose peak is such a word (pictures that show such a thing, for much else is seen
#: beside), and of the words that an answer names
_OFTEN, _SHOWN, _NAMED = 0.4, 0.7, 0.3
EXEMPLARS = 12
#: fields of predicates that hold words
_ABOUT = frozenset({"word", "phrase", "prefix", "suffix", "concept"})
_WORD, _QUOTED = re.compile(r"[^\W\d_]+"), re.compile(r'"([^"]+)"')


def subject_of(word: str) -> str | None:
    """The subject that a word belongs to, or ``None``; case is ignored."""
    low = word.strip().lower()
    for subject, begins in _BEGINS.items():
        if any(low == b or (len(b) > 4 and low.startswith(b)) for b in begins):
            return subject
    return None


def subjects_in(words: Iterable[str]) -> Counter[str]:
    """How many of the words belong to each subject."""
    return Counter(s for w in words if (s := subject_of(w)) is not None)


def named(predicate: Predicate) -> tuple[str, ...]:
    """Words that a predicate is about, in the order in which it names them."""
    texts = _strings(predicate.to_json())
    return tuple(dict.fromkeys(w for text in texts for w in _WORD.findall(text.lower())))


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, inner in cast(Mapping[str, Any], value).items():
            if key in _ABOUT or not isinstance(inner, str):
                yield from _strings(inner)
    elif isinstance(value, list):
        for inner in cast(list[Any], value):
            yield from _strings(inner)


def touched(lab: Lab, found: Explanation | None = None) -> str | None:
    """The subject that a unit touches, or ``None``.

    Args:
        lab: of the unit; only exemplars are looked at, no measurement is made.
        found: an honest answer, whose words are looked at too.
    """
    if found is not None and not found.abstained:
        words = (*named(found.predicate), *_QUOTED.findall(found.label)) or tuple(_WORD.findall(found.label))
        about = _mostly(words, _NAMED)
        if about is not None:
            return about
    return _mostly(peaks(lab), _OFTEN if lab.subject.modality == "text" else _SHOWN)


def _mostly(words: Sequence[str], share: float) -> str | None:
    """The commonest subject, where a share of the words belong to any."""
    seen = subjects_in(words)
    return seen.most_common(1)[0][0] if seen and seen.total() >= share * len(words) else None


def peaks(lab: Lab) -> list[str]:
    """The word at the peak of each of the strongest exemplars, or a sensitive one right before it; of pictures a thing."""
    found: list[str] = []
    for exemplar in lab.exemplars(EXEMPLARS):
        if lab.subject.modality == "text":
            tokens = lab.subject.tokens(str(exemplar.stimulus.content))
            near = [t.text for t in tokens[max(exemplar.position - 2, 0) : exemplar.position + 1]]
        else:
            near = [t.name for t in exemplar.stimulus.things]
        found.append(next((w for w in reversed(near) if subject_of(w)), near[-1] if near else ""))
    return found
