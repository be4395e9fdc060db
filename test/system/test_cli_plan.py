"""granary plan and expected starts: who would be asked for what, and when, on a real broker."""
import json
import os
import pwd
import re


def harvest(broker):
    """A batch that holds 3 x 700M, three tasks of 3 s at a time."""
    job = broker.begin("harvest", "-m", "700M", "-j", "3", "--label", "batch", "--", "sleep", "{}", ":::",
                       *["3"] * 30)
    broker.wait(lambda s: any(a["chunks"] == 3 and sum(len(k["pids"]) for k in a["claims"]) == 3 for a in s["allocations"]))
    return job


def after_the_first_tasks(broker):
    """Waits until every first task has ended: from then on the pool knows how long its tasks take."""
    first = {p for a in broker.snapshot()["allocations"] for k in a["claims"] for p in k["pids"]}
    broker.wait(lambda s: all(k["pids"] and not first & set(k["pids"]) for a in s["allocations"] for k in a["claims"]))


def test_plan_names_who_would_be_asked_and_when(broker):
    harvest(broker)
    after_the_first_tasks(broker)
    before = broker.snapshot()
    (batch,) = before["allocations"]
    host = before["hosts"][0]["name"]
    plan = json.loads(broker.run("plan", "-m", "2G", "--json").stdout)
    (ask,) = plan["asks"]
    assert {k: ask[k] for k in ["allocation", "label", "host", "chunk_size", "chunks"]} == {
        "allocation": batch["id"], "label": "batch", "host": host, "chunk_size": 700 << 20, "chunks": 2}
    assert 0 < ask["expected_ms"] <= 3500
    assert plan["expected_ms"] == ask["expected_ms"]
    done = broker.run("plan", "-m", "2G")
    assert done.returncode == 75
    assert re.search(rf"^2 chunks of 700M would be asked back from allocation {batch['id']} \(batch, \S+\) on {host}, "
                     r"the last expected in [0-9.]+m?s$", done.stdout, re.MULTILINE), done.stdout
    assert re.search(r"^Expected to start in [0-9.]+m?s\.$", done.stdout, re.MULTILINE)
    s = broker.snapshot()
    assert s["queue"] == [] and s["recalls"] == []
    assert s["allocations"][0]["chunks"] == 3


def test_a_task_of_unknown_length_is_not_guessed(broker):
    harvest(broker)  # no task has ended yet
    (batch,) = broker.snapshot()["allocations"]
    done = broker.run("plan", "-m", "2G")
    assert done.returncode == 75
    assert f"2 chunks of 700M would be asked back from allocation {batch['id']}" in done.stdout
    assert "nobody knows when its tasks end" in done.stdout and "Expected" not in done.stdout
    plan = json.loads(broker.run("plan", "-m", "2G", "--json").stdout)
    assert plan["expected_ms"] is None and plan["asks"][0]["expected_ms"] is None


def test_a_user_at_the_quota_is_told_so(make_broker):
    me = os.getuid()
    broker = make_broker(config=f"[user {pwd.getpwuid(me).pw_name}]\nquota = 1G\n")
    broker.begin("harvest", "-m", "300M", "-j", "3", "--", "sleep", "{}", ":::", "60", "60", "60")
    broker.wait(lambda s: any(a["chunks"] == 3 for a in s["allocations"]))
    done = broker.run("plan", "-m", "500M")
    assert done.returncode == 75
    assert "Nobody would be asked to give back: its user is at the quota." in done.stdout
    plan = json.loads(broker.run("plan", "-m", "500M", "--json").stdout)
    assert (plan["reason"], plan["asks"], plan["expected_ms"]) == ("its user is at the quota", [], None)


def test_a_waiter_is_told_when_it_starts(broker):
    harvest(broker)
    after_the_first_tasks(broker)
    job = broker.begin("run", "-v", "-m", "2G", "--label", "waiter", "--", "true")
    s = broker.wait(lambda s: s["queue"] and s["queue"][0]["expected_ms"] is not None)
    assert 0 <= s["queue"][0]["expected_ms"] <= 3500
    assert re.search(r"; expected in [0-9.]+m?s", broker.run("queue", check=True).stdout)
    _, told = job.communicate(timeout=30)
    assert job.returncode == 0
    assert "memory is being asked back for it; expected in " in told, told


def test_a_forecast_that_proved_wrong_is_made_anew(broker):
    """The task looks like three of 2 s; once it is older than those, like the one of 5 s."""
    broker.begin("harvest", "-m", "2G", "-j", "1", "--label", "batch", "--", "sleep", "{}", ":::",
                 "2", "2", "2", "5", "30")
    ended = set()

    def the_last_runs(s):
        ended.update(p for a in s["allocations"] for k in a["claims"] for p in k["pids"])
        return len(ended) == 5
    broker.wait(the_last_runs, 60)
    broker.begin("run", "-m", "2G", "--label", "waiter", "--", "true")
    s = broker.wait(lambda s: s["queue"] and s["queue"][0]["expected_ms"] is not None)
    assert s["queue"][0]["expected_ms"] <= 2000
    s = broker.wait(lambda s: (s["queue"][0]["expected_ms"] or 0) > 2000)
    assert s["queue"][0]["expected_ms"] <= 3000


def test_plan_speaks_of_the_hosts_that_are_asked_for(make_broker):
    """A second host is known by its settings only: what is free on this one is nothing to a request for that one."""
    broker = make_broker(config="[host elsewhere]\ntotal = 8G\n")
    here = next(h["name"] for h in broker.snapshot()["hosts"] if h["state"] == "up")
    done = broker.run("plan", "-m", "1G", "--hosts", here, check=True)
    assert done.stdout == f"Would be granted now: 1 x 1.0G on {here}\n"
    plan = json.loads(broker.run("plan", "-m", "1G", "--hosts", "!elsewhere", "--json", check=True).stdout)
    assert (plan["now"], plan["hosts"], plan["free"]) == (True, [{"host": here, "chunks": 1}], None)
    done = broker.run("plan", "-m", "1G", "--hosts", "elsewhere")
    assert done.returncode == 75
    assert done.stdout == ("1 x 1.0G would wait, at place 1: the most that is free on one of those hosts is 0\n"
                           "Nobody would be asked to give back: no host that can serve it is up.\n")
    plan = json.loads(broker.run("plan", "-m", "1G", "--hosts", "elsewhere", "--json").stdout)
    assert (plan["status"], plan["free"], plan["reason"]) == ("WAITING", 0, "no host that can serve it is up")
    assert broker.run("plan", "-m", "1G", "--hosts", "nowhere").returncode == 122
    broker.run("drain", here, check=True)
    done = broker.run("plan", "-m", "1G", "--hosts", here)
    assert done.returncode == 75 and "of those hosts is 0\n" in done.stdout and "no host that can serve it is up" in done.stdout, done
    broker.run("undrain", here, check=True)
