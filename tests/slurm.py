"""A SLURM of one node, for as long as a test needs it: its own key, ports, folders and daemons."""

import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

DAEMONS = ("munged", "slurmctld", "slurmd")
COMMANDS = ("sbatch", "squeue", "scontrol", "scancel", "srun")
CONFIGURATION = """\
ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket={folder}/munge.socket
CredType=cred/munge
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd.pid
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd.log
SlurmctldPort={ports[0]}
SlurmdPort={ports[1]}
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SchedulerParameters=sched_interval=2,batch_sched_delay=0
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
KillWait=2
NodeName={host} NodeAddr=127.0.0.1 CPUs={cpus} RealMemory=10000 State=UNKNOWN
PartitionName=main Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""


def tool(name):
    """Where a daemon or command is; those of administrators are not always on the path."""
    return shutil.which(name) or shutil.which(name, path="/usr/sbin:/sbin:/usr/local/sbin")


@contextmanager
def one_node(folder, cpus=2):
    """Inside, SLURM_CONF in the environment names a cluster of this machine alone.

    Skips the test, saying why, where SLURM is not installed or cannot be started.
    """
    if missing := [name for name in (*DAEMONS, *COMMANDS) if tool(name) is None]:
        pytest.skip(f"no SLURM here: {', '.join(missing)} missing (slurm-wlm and munge)")
    if os.getuid() != 0:
        pytest.skip("SLURM's daemons of these tests want to be root, in a container")
    folder.mkdir(parents=True)
    host, ports = socket.gethostname().split(".")[0], _free_ports(2)
    key, configuration = folder / "munge.key", folder / "slurm.conf"
    key.write_bytes(os.urandom(128))
    key.chmod(0o600)
    for name in ("state", "spool"):
        (folder / name).mkdir()
    configuration.write_text(
        CONFIGURATION.format(host=host, folder=folder, ports=ports, cpus=cpus), encoding="utf-8"
    )
    started = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(configuration))
        munge = [f"--{k}={folder}/munge.{k.partition('-')[0]}" for k in ("key-file", "socket")]
        munge += [f"--{k}-file={folder}/munge.{k}" for k in ("pid", "log", "seed")]
        try:
            for command in (
                [tool("munged"), "--foreground", "--force", *munge],
                [tool("slurmctld"), "-D", "-c", "-f", str(configuration)],
                [tool("slurmd"), "-D", "-f", str(configuration)],
            ):
                log = (folder / f"{Path(command[0]).name}.out").open("wb")
                started.append(subprocess.Popen(command, stdout=log, stderr=log))
                if len(started) == 1:
                    wait_for(lambda: (folder / "munge.socket").exists(), 30, skip="munged")
            wait_for(lambda: "idle" in told("sinfo", "--noheader", "--format=%T"), 60, skip="SLURM")
            yield host
        finally:
            with suppress(Exception):  # jobs end before the daemons that look after them
                told("scancel", "--user=root")
                wait_for(lambda: not told("squeue", "--noheader"), 20)
            for process in reversed(started):
                process.send_signal(signal.SIGTERM)
            for process in started:
                with suppress(subprocess.TimeoutExpired):
                    process.wait(20)
                process.kill()


def told(*command):
    """What a command of SLURM's answers."""
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60).stdout


def wait_for(condition, seconds, skip=None):
    """Wait until `condition()` is true, and return it; skip or fail the test if it is not."""
    end = time.monotonic() + seconds
    while not (found := condition()):
        if time.monotonic() > end:
            if skip:
                pytest.skip(f"{skip} can't be started here")
            raise AssertionError(f"waited {seconds} s in vain")
        time.sleep(0.2)
    return found


def _free_ports(count):
    """Ports of this machine that nobody listens at."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()


if __name__ == "__main__":  # one to play with: python -m tests.slurm FOLDER COMMAND …
    place, *command = sys.argv[1:]
    with one_node(Path(place)):
        sys.exit(subprocess.run(command, check=False).returncode)
