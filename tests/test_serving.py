"""What `saliencykit explore` serves, to whom, and what is left of it: with real servers."""

import json
import os
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager

import nbformat
import pytest
import requests
import websocket
from tornado.httputil import HTTPHeaders, HTTPServerRequest, RequestStartLine

from saliencykit.paths import NOTEBOOKS, for_children
from saliencykit.registry import UnknownNameError
from saliencykit.running import server, serving
from tests.small_notebooks import write_notebook, write_profile
from tests.test_running import alive, kernels_of, wait_for

# The page


def test_page_keeps_title_widget_and_its_text(tmp_path):
    folder, own = tmp_path / "notebooks", tmp_path / "own"
    own.mkdir()
    write_notebook(folder, "09_small", "total = value + 1", "total")
    write_profile(folder, "p", "value: 4.0\n")
    path = serving.page("09", "p", {"seed": "3"}, own, folder)
    title, silent, widget, _ = nbformat.read(path, 4).cells
    assert title.source == "# 09_small"
    assert silent.source.startswith("%%capture\n")
    assert widget.source == "total"
    assert path.parent == own
    said: dict = {}
    exec("\n".join(silent.source.splitlines()[1:]), said)  # as a kernel would
    assert (said["value"], said["changes"], said["total"]) == (4.0, {"seed": 3}, 5.0)
    with pytest.raises(UnknownNameError, match="value"):
        serving.page("09", "p", {"values": "3"}, own, folder)
    with pytest.raises(UnknownNameError, match="Known: p"):
        serving.page("09", "q", {}, own, folder)


def test_the_explorer_s_page_shows_no_code_before_the_widget(tmp_path):
    cells = nbformat.read(serving.page("09", "toy", {}, tmp_path, NOTEBOOKS), 4).cells
    assert [c.cell_type for c in cells] == ["markdown", "code", "code", "markdown"]
    assert cells[2].source == "instrument.widget()"
    assert "sort" in cells[3].source.lower()


# Who is answered


def asked(**headers):
    line = RequestStartLine("GET", "/", "HTTP/1.1")
    return server.fault(HTTPServerRequest(headers=HTTPHeaders(headers), start_line=line))


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:8866", "LOCALHOST:1", "127.0.0.1:9", "127.9.9.9", "[::1]:9"]
)
def test_names_of_this_machine_are_answered_to(host):
    assert asked(Host=host) is None
    assert asked(Host=host, Origin=f"http://{host}") is None


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:8866",
        "192.168.0.7",
        "0.0.0.0",
    ],
)
def test_other_names_are_told_which_to_use(host):
    assert f"127.0.0.1, not {host.partition(':')[0]}." in asked(Host=host)


@pytest.mark.parametrize("origin", ["http://evil.example", "http://localhost:9", "null", "x"])
def test_pages_of_other_sites_are_told_that_they_are(origin):
    assert f"a page of {origin}," in asked(Host="localhost:8866", Origin=origin)


# A real server


class Served:
    """A process that serves, and how to ask it."""

    def __init__(self, process, log):
        self.process, self.log = process, log
        wait_for(lambda: "token=" in log.read_text() or process.poll() is not None)
        said = log.read_text()
        assert "token=" in said, said
        self.address = said[said.index("http") :].split()[0]
        self.base, _, self.token = self.address.partition("?token=")

    def get(self, path="", key=True, **how):
        given = {"token": self.token} if key else {}
        how.setdefault("timeout", 60)
        return requests.get(self.base + path, {**given, **how.pop("params", {})}, **how)

    def kernels(self):
        """The kernels that run now."""
        return kernels_of(self.process.pid)

    def connected(self, page):
        """A connection to a page's kernel, as the page itself makes one."""
        kernel = json.loads(page.text.partition('"kernelId": ')[2].partition(",")[0])
        where = f"{self.base}api/kernels/{kernel}/channels?token={self.token}"
        link = websocket.create_connection(where.replace("http", "ws", 1), timeout=60)
        link.url = where.replace("http", "ws", 1)
        return link


CALL = """
import json, signal, sys
from pathlib import Path
from saliencykit.running import serving
signal.signal(signal.SIGINT, signal.default_int_handler)  # if it is ignored
folder, port, settings = sys.argv[1:]
serving.explore("09", "p", {}, int(port), False, Path(folder), **json.loads(settings))
"""


@contextmanager
def serve(place, *cells, port=0, environment=None, **settings):
    """Serve a small notebook of `cells`, from a folder of its own, until the block ends."""
    folder, here = place / "notebooks", place / "here"
    write_notebook(folder, "09_small", *cells)
    write_profile(folder, "p", "value: 4.0\n")
    here.mkdir(exist_ok=True)
    call = [sys.executable, "-P", "-c", CALL, str(folder), str(port), json.dumps(settings)]
    environment = {**os.environ, **for_children(), **(environment or {})}
    with started(call, here, environment, place / "log.txt") as found:
        yield found


@contextmanager
def started(call, here, environment, log):
    with log.open("w") as out:
        process = subprocess.Popen(
            call, cwd=here, env=environment, stdout=out, stderr=out, start_new_session=True
        )
    try:
        yield Served(process, log)
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """A server whose page shows a text at once."""
    with serve(tmp_path_factory.mktemp("small"), "1", "print('shown')", grace=1, most=9) as found:
        yield found


@pytest.mark.slow
@pytest.mark.parametrize("path", ["", "login", "voila/static/voila.js", "api/kernels", "nothing"])
@pytest.mark.parametrize("header", [{"Host": "evil.example"}, {"Origin": "http://evil.example"}])
def test_strangers_get_nothing_and_start_nothing(small, path, header):
    before = small.kernels()
    answer = small.get(path, headers=header)
    assert (answer.status_code, "evil.example" in answer.text) == (403, True)
    assert small.kernels() == before


@pytest.mark.slow
def test_who_has_no_key_is_asked_for_it_and_starts_nothing(small):
    before = small.kernels()
    answer = small.get(key=False)
    assert "/login" in answer.url
    assert "shown" not in answer.text
    wrong = small.get(key=False, params={"token": "x" * 32})
    assert "/login" in wrong.url
    assert small.kernels() == before


@pytest.mark.slow
def test_the_key_becomes_a_cookie_that_other_sites_cannot_send(small):
    answer = small.get()
    assert answer.status_code == 200
    assert "HttpOnly" in answer.headers["Set-Cookie"]
    assert "SameSite=Strict" in answer.headers["Set-Cookie"]
    assert "/login" not in small.get(key=False, cookies=answer.cookies).url


@pytest.mark.slow
def test_what_an_address_says_is_not_written_into_the_page(small):
    text = '"></script><script>alert(7)</script>'
    answer = small.get(params=dict.fromkeys(["theme", "template", "x"], text))
    assert (answer.status_code, "shown" in answer.text) == (200, True)
    assert "alert(7)" not in answer.text
    assert "<script>alert(7)" not in small.get(f"{text}.png").text


@pytest.mark.slow
def test_files_beside_the_page_are_not_served(small):
    assert small.get("voila/files/open.html").status_code == 403
    assert small.get("voila/files/data/notebook_secret").status_code == 403
    assert small.get("voila/files/a.png").status_code == 403


def request(kind, **content):
    """A page's request to its kernel."""
    header = {"msg_id": kind, "msg_type": kind, "session": "s"}
    rest = {"parent_header": {}, "metadata": {}, "channel": "shell"}
    return json.dumps({"header": header, "content": content, **rest})


def replies(link):
    """The kinds of replies that come, up to the first to a request for the kernel's description."""
    kinds = []
    while "kernel_info_reply" not in kinds:
        kinds.append(json.loads(link.recv())["header"]["msg_type"])
    return kinds


@pytest.mark.slow
def test_a_photograph_of_many_mebibytes_arrives(small):
    link = small.connected(small.get())
    link.send(request("kernel_info_request", photograph="x" * (30 << 20)))
    assert "kernel_info_reply" in replies(link)
    link.close()


@pytest.mark.slow
def test_a_page_cannot_run_code(small, tmp_path):
    link = small.connected(small.get())
    link.send(
        request("execute_request", code=f"open({str(tmp_path / 'ran')!r}, 'w')", silent=False)
    )
    link.send(request("kernel_info_request"))
    assert "execute_reply" not in replies(link)
    assert not (tmp_path / "ran").exists()
    link.close()


@pytest.mark.slow
def test_connections_to_kernels_want_key_and_origin_too(small):
    link = small.connected(small.get())
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(link.url.partition("?")[0], timeout=60)
    with pytest.raises(websocket.WebSocketBadStatusException, match="403"):
        websocket.create_connection(link.url, timeout=60, origin="http://evil.example")
    link.close()


def tried(ask):
    """An answer, or what went wrong in asking for it."""
    try:
        return ask()
    except requests.exceptions.RequestException as error:
        return error


STALL = """
from pathlib import Path
import time
while not Path({go!r}).exists():
    time.sleep(0.05)
"""


@pytest.mark.slow
def test_few_pages_are_computed_at_a_time_and_a_page_given_up_ends_its_kernel(tmp_path):
    go, answers = tmp_path / "go", []
    with serve(tmp_path, STALL.format(go=str(go)), "print('shown')", grace=600) as found:

        def ask(seconds):
            answers.append(tried(lambda: found.get(timeout=seconds)))

        def asking(n, seconds):
            threads = [threading.Thread(target=ask, args=[seconds]) for _ in range(n)]
            for thread in threads:
                thread.start()
            return threads

        impatient = asking(2, 3) + asking(1, 60)
        wait_for(lambda: len(found.kernels()) == 3)
        most = len(found.kernels())
        for thread in impatient[:2]:
            thread.join()
        wait_for(lambda: len(found.kernels()) == 1)  # those given up have ended
        more = asking(4, 60)
        wait_for(lambda: len(answers) == 4)
        most = max(most, len(found.kernels()))
        go.touch()
        for thread in impatient + more:
            thread.join()
    assert most == 3
    refused = [a for a in answers if getattr(a, "status_code", 0) == 503]
    shown = [a for a in answers if getattr(a, "status_code", 0) == 200]
    assert [len(refused), len(shown), len(answers)] == [2, 3, 7]
    assert all("3 pages at a time" in a.text for a in refused)
    assert all("shown" in a.text for a in shown)


@pytest.mark.slow
def test_a_kernel_ends_with_the_last_connection_of_its_page(tmp_path):
    with serve(tmp_path, "1", "print('shown')", grace=1) as found:
        link = found.connected(found.get())
        ((kernel,)) = found.kernels()
        time.sleep(2.5)
        assert alive(kernel)
        link.close()
        wait_for(lambda: not alive(kernel), 10)
        found.get()  # a page that never connects
        ((kernel,)) = found.kernels()
        wait_for(lambda: not alive(kernel), 10)


@pytest.mark.slow
def test_a_kernel_that_dies_is_told_on_the_page_and_makes_room(tmp_path):
    with serve(tmp_path, "import os; os._exit(3)", "1", grace=1, most=1) as found:
        assert server.DIED in found.get().text
        assert server.DIED in found.get().text


@pytest.mark.slow
@pytest.mark.parametrize(
    ("how", "status"), [(signal.SIGTERM, 143), (signal.SIGINT, 0), (signal.SIGKILL, -9)]
)
def test_signals_end_server_kernels_and_folder(tmp_path, how, status):
    own = {"TMPDIR": str(tmp_path / "t")}
    (tmp_path / "t").mkdir()
    begun = tmp_path / "begun"  # a kernel that still starts would miss its folder, and say so
    stall = f"open({str(begun)!r}, 'w').close()" + STALL.format(go=str(tmp_path / "never"))
    with serve(tmp_path, stall, "1", environment=own) as found:
        threading.Thread(target=tried, args=[found.get]).start()
        wait_for(begun.exists)
        ((kernel,)) = found.kernels()
        found.process.send_signal(how)
        assert found.process.wait(20) == status
        wait_for(lambda: not alive(kernel), 10)
        wait_for(lambda: not list((tmp_path / "t").iterdir()))
        assert "Traceback" not in found.log.read_text()


@pytest.mark.slow
def test_a_second_explorer_has_its_own_page_and_port(tmp_path):
    with serve(tmp_path / "a", "1", "print('first')") as first:
        port = first.base.rstrip("/").rpartition(":")[2]
        with serve(tmp_path / "b", "1", "print('second')", port=port) as second:
            assert second.base != first.base
            assert "second" in second.get().text
            assert "first" in first.get().text
            assert "/login" in second.get(key=False, params={"token": first.token}).url
