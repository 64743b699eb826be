"""A container made by the ``docker`` command, for machines that are not Linux or have neither bubblewrap nor Landlock.

The container has no network, no capabilities, a read-only file system, a limited scratch in memory and limited memory,
processors and processes; inside, the interpreter applies limits and, where the machine is known, the filter of system calls.
The image must have ``python3`` (3.11 or later) with numpy and pillow. Not covered: what the docker daemon itself protects.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import subprocess
from dataclasses import dataclass, field

from maieutic.lab.worker.interpreter import BOOT
from maieutic.lab.worker.launch import Running, resource_limits, spawn
from maieutic.lab.worker.limits import Limits

#: what the docker command itself needs of our environment; nothing of it reaches the container
_CLIENT = ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONTEXT", "DOCKER_CONFIG", "DOCKER_TLS_VERIFY", "DOCKER_CERT_PATH")


@dataclass(frozen=True)
class Docker:
    """See the module.

    Attributes:
        image: name of the image; else what the variable ``MAIEUTIC_JAIL_IMAGE`` names. There is no default, because no image
            is trusted unless it was chosen.
    """

    image: str | None = field(default_factory=lambda: os.environ.get("MAIEUTIC_JAIL_IMAGE"))
    name: str = "docker"
    jailed: bool = True
    compiled: bool = False

    def refusal(self) -> str:
        if shutil.which("docker") is None:
            return "the docker command is not installed: install docker, or choose the jail bwrap or landlock"
        asked = ["docker", "version", "--format", "{{.Server.Version}}"]
        try:
            found = subprocess.run(asked, capture_output=True, text=True, timeout=10, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return f"the docker command does not answer ({type(error).__name__}): start the docker daemon"
        if found.returncode != 0:
            lines = (found.stderr or found.stdout).strip().splitlines()
            return f"the docker daemon cannot be reached ({lines[-1][:200] if lines else 'no reason given'}): start it"
        if self.image is None:
            return (
                "no image was given: set MAIEUTIC_JAIL_IMAGE to one that has python3 (3.11 or later), numpy and pillow"
            )
        return ""

    def launch(self, limits: Limits) -> Running:
        assert self.image is not None, "asked to launch what was refused"
        container = f"maieutic-{os.getpid()}-{secrets.token_hex(6)}"
        process = spawn(arguments(limits, image=self.image, container=container), env=_environment())
        running = _Container(process, _settings(limits), session=True)
        running.container = container
        return running


class _Container(Running):
    container: str = ""

    def freeze(self, frozen: bool) -> None:
        """A container is left running: to pause it takes longer than a program."""

    def kill(self) -> None:
        if self.process.poll() is None:  # ending the command alone would leave the container
            asked = ["docker", "kill", self.container]
            with contextlib.suppress(OSError, subprocess.TimeoutExpired):
                subprocess.run(asked, capture_output=True, timeout=10, check=False, env=_environment())
        super().kill()


def arguments(limits: Limits, *, image: str, container: str) -> list[str]:
    """The command that runs one container and removes it afterwards."""
    scratch = f"/scratch:rw,nosuid,nodev,noexec,size={limits.scratch},nr_inodes={limits.files},mode=1777"
    memory = limits.memory + limits.scratch
    return [
        "docker", "run", "--rm", "--interactive", "--init=false", f"--name={container}", "--network=none", "--ipc=none",
        "--read-only", f"--tmpfs={scratch}", "--workdir=/scratch", "--cap-drop=ALL", "--security-opt=no-new-privileges",
        "--user=65534:65534", f"--memory={memory}", f"--memory-swap={memory}", "--pids-limit=8", "--cpus=1",
        "--log-driver=none", "--entrypoint=python3", image, "-I", "-B", "-X", "utf8", "-c", BOOT,
    ]  # fmt: skip


def _environment() -> dict[str, str]:
    return {name: os.environ[name] for name in _CLIENT if name in os.environ}


def _settings(limits: Limits) -> dict[str, object]:
    return {
        "rules": [],
        "scratch": "/scratch",
        "stdlib": None,
        "packages": None,
        "limits": resource_limits(limits),
        "user": None,
        "die_with_parent": False,
        "landlock": 0,
        "landlock_needed": False,
        "filter": True,
    }
