# SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
"""The lab of `make run`: its names, its files, its servers. Used by `lab` and `run`."""

import grp
import os
import pathlib
import shutil
import sys

sys.dont_write_bytecode = True
import labnet  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = pathlib.Path(os.environ.get("O", ROOT / "build")).absolute()
STATE = BUILD / "lab"  # outlives the lab: logs and the agent's state
RUN = pathlib.Path("/run/fairlead-lab")
CONFIG = RUN / "fairlead.yaml"
SERVICES = RUN / "services.d"
WEB = SERVICES / "web.yaml"
SOCKET = RUN / "fairleadd.sock"
HTTP = f"{labnet.Lab.MANAGEMENT_BALANCER}:9707"
FRONTEND4, FRONTEND6 = "10.200.0.1", "2001:db8:200::1"
WEIGHTS = {"web-1": 1, "web-2": 2, "web-3": 1}
SPARE = "web-4"  # runs, but is in no file: the one to add by hand


def lab():
    return labnet.Lab("fl-lab", RUN, "/sys/fs/bpf/fairlead-lab")


def log_of(server):
    return STATE / f"{server}.access.log"


def person():
    """(uid, gid) of who typed `sudo make run`, so that they may edit and look."""
    return int(os.environ.get("SUDO_UID", 0)), int(os.environ.get("SUDO_GID", 0))


def services(name, frontend, address):
    """One file of the registry: a service with the three servers."""
    rows = [f'      - {{ address: "{address(n)}:80", weight: {weight} }}   # {server}'
            for n, (server, weight) in enumerate(WEIGHTS.items(), 1)]
    return "\n".join(["services:", f"  - name: {name}", f'    frontends: [ "{frontend}:80/tcp" ]',
                      "    forward: nat", "    endpoints:", *rows, ""])


def write_files(net):
    uid, gid = person()
    SERVICES.mkdir()
    WEB.write_text(services("web", FRONTEND4, net.server4))
    (SERVICES / "web6.yaml").write_text(
        services("web6", f"[{FRONTEND6}]", lambda n: f"[{net.server6(n)}]"))
    for path in (SERVICES, *SERVICES.iterdir()):
        os.chown(path, uid, gid)
    CONFIG.write_text(f"""# The agent of the lab. Its services are in the files of {SERVICES}.
node: {{ name: lab }}
state_dir: {STATE}/state
bpffs: {net.bpffs}
control: {{ socket: {SOCKET}, group: {grp.getgrgid(gid).gr_name} }}
http: {{ listen: {HTTP} }}
edge:
  interfaces: [to-clients, to-servers]
registries:
  - file: {{ path: {SERVICES} }}
""")


def up(net):
    """Network, servers and files; no agent yet."""
    net.up(servers=len(WEIGHTS) + 1, management=True)
    shutil.rmtree(STATE, ignore_errors=True)
    STATE.mkdir(parents=True)
    write_files(net)
    for number, server in enumerate([*WEIGHTS, SPARE], 1):
        net.nginx(number, log_of(server))
        net.run(net.CLIENT, ["curl", "-sf", "--retry", 20, "--retry-connrefused", "--retry-delay", 1,
                             "--max-time", 30, f"http://{net.server4(number)}/are-you-there"])
