"""What foreign code may try against a worker, as data: the same list is the test of every jail and ``maieutic bench jail``.

``tried(attack, backend)`` runs one and says what got out. It shows that these attacks fail, not that no other succeeds.
"""

from __future__ import annotations

from maieutic.bench.attacks.attack import LIMITS, Attack, with_facts
from maieutic.bench.attacks.escape import ESCAPE
from maieutic.bench.attacks.files import FILES
from maieutic.bench.attacks.messages import MESSAGES
from maieutic.bench.attacks.network import NETWORK
from maieutic.bench.attacks.processes import PROCESSES
from maieutic.bench.attacks.resources import RESOURCES
from maieutic.bench.attacks.scene import Scene
from maieutic.lab.worker import Ran, start_worker

__all__ = ["ATTACKS", "Attack", "Scene", "tried"]

ATTACKS: tuple[Attack, ...] = (*FILES, *PROCESSES, *NETWORK, *RESOURCES, *MESSAGES, *ESCAPE)


def tried(attack: Attack, backend: str, *, image: str | None = None) -> str:
    """What an attack got out of a worker in that jail; empty when it was contained.

    Raises:
        UserError: the jail cannot be had here.
    """
    ran: list[Ran] = []
    with Scene() as scene:
        for text in attack.programs:
            with start_worker(backend, calls={"serve": scene.serve}, limits=LIMITS, image=image) as worker:
                ran.append(worker.run(with_facts(text, scene.facts()), seconds=attack.seconds))
                if attack.then is None:
                    continue
                worker.reset()
                ran.append(worker.run(with_facts(attack.then, scene.facts())))
        return attack.judge(scene, ran)
