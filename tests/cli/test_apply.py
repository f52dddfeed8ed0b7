"""``operativus apply``: what a file says, how a server differs from it, and what is changed for that."""

from __future__ import annotations

import json
import sys
from urllib.request import urlopen

import pytest
from operativus_command import WORKFLOWS, asked, config, leading_to_operativus, steps, workflow
from simulator_thread import SimulatorThread

from opus_async.cli.errors import WrongUse
from opus_async.cli.operativus import changes, definitions, documents
from opus_async.cli.operativus.changes import AddStep, ChangeStep, RemoveStep
from opus_async.cli.operativus.definitions import WantedStep, WantedWorkflow
from opus_async.operativus import Step, Workflow

YAML = """\
workflows:
  - name: Briefing
    description: Prices, summed up
    steps:
      - agent: finance_agent
        action: Fetch the prices.
      - agent: writer_agent
        action: |
          Sum them
          up.
  - name: no
    id: 17
"""
TOML = """\
[[workflows]]
name = "Briefing"
description = "Prices, summed up"
[[workflows.steps]]
agent = "finance_agent"
action = "Fetch the prices."
[[workflows.steps]]
agent = "writer_agent"
action = "Sum them\\nup.\\n"
[[workflows]]
name = "no"
id = "17"
"""
AS_JSON = {
    "workflows": [
        {
            "name": "Briefing",
            "description": "Prices, summed up",
            "steps": [
                {"agent": "finance_agent", "action": "Fetch the prices."},
                {"agent": "writer_agent", "action": "Sum them\nup.\n"},
            ],
        },
        {"name": "no", "id": "17"},
    ]
}


# What a file says


@pytest.mark.parametrize(
    ("name", "text"), [("f.yaml", YAML), ("f.toml", TOML), ("f.json", json.dumps(AS_JSON))]
)
def test_definitions_of_each_format_say_the_same(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    briefing, other = definitions.read_workflows(tmp_path / name)
    assert (briefing.name, briefing.id, briefing.description) == ("Briefing", None, "Prices, summed up")
    assert [(step.agent, step.action) for step in briefing.steps] == [
        ("finance_agent", "Fetch the prices."),
        ("writer_agent", "Sum them\nup.\n"),
    ]
    assert (other.name, other.id, other.description, other.steps) == ("no", "17", None, None)


def test_definitions_of_one_workflow_need_no_list(tmp_path):
    (tmp_path / "f.yaml").write_text("name: Alone\nsteps: []\n")
    (alone,) = definitions.read_workflows(tmp_path / "f.yaml")
    assert (alone.name, alone.steps) == ("Alone", ())


WRONG = {
    "no_suffix": ("f", "name: x", "f is neither .yaml, .yml or .json, nor .toml"),
    "no_yaml": ("f.yaml", "name: 'x\n", "f.yaml:2 is no YAML: found unexpected end of stream"),
    "tab": ("f.yaml", "workflows:\n\t- name: x\n", "f.yaml:2 is no YAML"),
    "no_toml": ("f.toml", "name = \n", "f.toml is no TOML: Invalid value (at line 1, column 8)"),
    "empty": ("f.yaml", "", "f.yaml: holds no workflow"),
    "text": ("f.yaml", "hello", "f.yaml:1: holds no workflow: write a list 'workflows'"),
    "several_documents": ("f.yaml", "name: a\n---\nname: b\n", "f.yaml holds 2 documents"),
    "no_name": ("f.yaml", "workflows:\n  - steps: []\n", "f.yaml:2: name is missing: add name"),
    "empty_name": ("f.yaml", "name: ' '\n", "f.yaml:1: name is empty: give name"),
    "misspelt": (
        "f.yaml",
        "name: x\nstpes: []\n",
        "f.yaml:2: 'stpes' is no field of a workflow; did you mean 'steps'?",
    ),
    "of_the_api": (
        "f.yaml",
        "name: x\nsteps:\n  - agentId: a\n    action: b\n",
        "f.yaml:3: 'agentId' is no field of a step; here that is 'agent'",
    ),
    "order": (
        "f.yaml",
        "name: x\nsteps:\n  - agent: a\n    action: b\n    stepOrder: 2\n",
        "f.yaml:5: 'stepOrder' is no field of a step; here that is 'the order of the list'",
    ),
    "no_agent": (
        "f.yaml",
        "name: x\nsteps:\n  - action: b\n",
        "f.yaml:3: agent is missing: add agent: the id",
    ),
    "steps_no_list": ("f.yaml", "name: x\nsteps: {agent: a}\n", "f.yaml:2: steps is no list"),
    "steps_empty": ("f.yaml", "name: x\nsteps:\n", "f.yaml:2: steps is empty: write a list, or [] for none"),
    "step_no_mapping": ("f.yaml", "name: x\nsteps: [a]\n", "f.yaml:2: is no step: write its fields"),
    "workflow_no_mapping": ("f.yaml", "workflows: [a]\n", "f.yaml:1: is no workflow"),
    "name_no_text": ("f.yaml", "name: [a]\n", "f.yaml:1: name is no text: write it in quotes"),
    "number": (
        "f.toml",
        "[[workflows]]\nname = 17\n",
        "f.toml, workflows[1].name: name is a number: put",
    ),
    "truth": (
        "f.toml",
        "[[workflows]]\nname = 'x'\n[[workflows.steps]]\nagent = true\naction = 'b'\n",
        "f.toml, workflows[1].steps[1].agent: agent is a truth value: put it in quotes",
    ),
    "date": ("f.toml", "name = 1979-05-27\n", "f.toml, name: name is a date or time"),
    "twice": ("f.yaml", "name: a\nname: b\n", "f.yaml:2: 'name' comes twice: keep one of them"),
    "same_name": (
        "f.yaml",
        "workflows:\n  - name: a\n  - name: a\n",
        "f.yaml:3: the name 'a' comes at f.yaml:2, too: give their ids",
    ),
    "same_id": (
        "f.yaml",
        "workflows:\n  - {name: a, id: x}\n  - {name: b, id: x}\n",
        "f.yaml:3: the id 'x' comes at f.yaml:2, too: take one of them out",
    ),
    "beside": ("f.yaml", "workflows: []\nname: x\n", "f.yaml:2: 'name' is no field beside 'workflows'"),
    "object": ("f.yaml", "name: !!python/object:os.system x\n", "f.yaml:1 has the tag"),
    "merge": ("f.yaml", "a: &a {name: x}\nb:\n  <<: *a\n", "f.yaml:3 needs a plain name before the colon"),
    "endless": ("f.yaml", "workflows: &a\n  - *a\n", "f.yaml:1 holds an alias of itself"),
    "mapping_as_name": ("f.yaml", "{a: b}: c\n", "f.yaml:1 needs a plain name"),
}


@pytest.mark.parametrize("case", WRONG)
def test_definitions_that_are_wrong_name_place_and_what_to_do(tmp_path, monkeypatch, case):
    name, text, told = WRONG[case]
    monkeypatch.chdir(tmp_path)
    (tmp_path / name).write_text(text)
    with pytest.raises(WrongUse) as caught:
        definitions.read_workflows(tmp_path.joinpath(name).relative_to(tmp_path))
    assert told in str(caught.value)


def test_definitions_tell_all_that_is_wrong_at_once(tmp_path):
    (tmp_path / "f.yaml").write_text("workflows:\n" + "  - {steps: [{agent: a}]}\n" * 30)
    with pytest.raises(WrongUse) as caught:
        definitions.read_workflows(tmp_path / "f.yaml")
    assert str(caught.value).count("name is missing") == 10
    assert str(caught.value).endswith("... and 40 more")


def test_documents_with_aliases_of_aliases_end_soon(tmp_path):
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 9)}]" for n in range(1, 12)]
    (tmp_path / "f.yaml").write_text("\n".join(lines))
    with pytest.raises(WrongUse, match="more than 100,000 values"):
        documents.read(tmp_path / "f.yaml")
    (tmp_path / "g.yaml").write_text("[" * 5000)
    with pytest.raises(WrongUse, match="YAML"):
        documents.read(tmp_path / "g.yaml")


def test_documents_that_cannot_be_read_are_told(tmp_path, monkeypatch):
    (tmp_path / "latin.yaml").write_bytes(b"name: caf\xe9\n")
    (tmp_path / "big.toml").write_bytes(b"#" * (documents.MOST_BYTES + 1))
    for name, why in {
        "gone.yaml": "No such file",
        "latin.yaml": "not in UTF-8",
        "big.toml": "more than",
    }.items():
        with pytest.raises(WrongUse, match=why):
            documents.read(tmp_path / name)
    (tmp_path / "f.yaml").write_text("name: x\n")
    monkeypatch.setitem(sys.modules, "yaml", None)
    with pytest.raises(WrongUse, match=r"pip install 'opus-async\[cli\]'"):
        documents.read(tmp_path / "f.yaml")


# How a server differs


def planned(wanted, there, *, prune=False, orders=None):
    """The plan for steps like ``aX``: agent and action; those of the server are s1, s2, ..."""
    server = [
        Step(each[0], each[1:], order, f"s{order}")
        for order, each in zip(orders or range(1, 99), there, strict=False)
    ]
    asked_for = tuple(WantedStep(each[0], each[1:], None, "f:1") for each in wanted)
    return changes.plan_of(
        WantedWorkflow("W", None, None, asked_for, "f:1"), Workflow("w", "W"), server, prune=prune
    )


def told(plan):
    """The changes, short: +aX@2 (added at 2), s1:b@3 (another agent, another place), -s2."""
    found = []
    for change in plan.changes:
        match change:
            case AddStep(step=step, order=order):
                found.append(f"+{step.agent}{step.action}@{order}")
            case ChangeStep(step=step, agent=agent, order=order):
                found.append(f"{step.id}:{agent or ''}{'' if order is None else f'@{order}'}")
            case RemoveStep(step=step):
                found.append(f"-{step.id}")
    return found, [step.id for step in plan.left]


@pytest.mark.parametrize(
    ("wanted", "there", "prune", "expected", "left"),
    [
        (["aX", "bY"], ["aX", "bY"], False, [], []),
        ([], [], True, [], []),
        (["aX", "bY", "cZ"], ["aX", "bY"], False, ["+cZ@3"], []),
        (["aX", "cZ", "bY"], ["aX", "bY"], False, ["+cZ@2", "s2:@3"], []),
        (["aX", "bX"], ["aX", "aX"], False, ["s2:b"], []),
        (["bX", "aY"], ["aX", "bY"], False, ["s1:b", "s2:a"], []),
        (["bY", "aX"], ["aX", "bY"], False, ["s2:@1", "s1:@2"], []),
        (["aX"], ["aX", "bY"], False, [], ["s2"]),
        (["aX"], ["aX", "bY"], True, ["-s2"], []),
        ([], ["aX", "bY"], True, ["-s1", "-s2"], []),
        (["aX", "bN", "cZ"], ["aX", "bY", "cZ"], False, ["+bN@3", "s3:@4"], ["s2"]),
        (["aX", "bN", "cZ"], ["aX", "bY", "cZ"], True, ["+bN@2"], ["-"]),
        (["cZ"], ["aX", "bY", "cZ"], False, [], ["s1", "s2"]),
        (["aX", "aX", "aX"], ["aX", "aX"], False, ["+aX@3"], []),
    ],
)
def test_plan_changes_what_differs_and_no_more(wanted, there, prune, expected, left):
    found, stays = told(planned(wanted, there, prune=prune))
    if left == ["-"]:
        assert (found, stays) == ([*expected, "-s2"], [])
    else:
        assert (found, stays) == (expected, left)


def test_plan_keeps_numbers_of_steps_that_are_in_order():
    assert told(planned(["aX", "bY", "cZ"], ["aX", "bY"], orders=[0, 7])) == (["+cZ@8"], [])
    assert told(planned(["aX", "bY"], ["aX", "bY"], orders=[3, 3])) == (["s3:@1", "s3:@2"], [])


def test_plan_of_step_with_id_takes_that_step_or_says_why_not():
    server = [Step("a", "X", 1, "s1"), Step("a", "X", 2, "s2")]

    def plan(step_id, action):
        wanted = (WantedStep("b", action, step_id, "f:7"),)
        return changes.plan_of(
            WantedWorkflow("W", None, None, wanted, "f:1"), Workflow("w", "W"), server, prune=True
        )

    assert told(plan("s2", "X")) == (["s2:b", "-s1"], [])
    with pytest.raises(changes.NoSuchStep, match="f:7: the workflow has no step s9"):
        plan("s9", "X")
    with pytest.raises(changes.NoSuchStep, match="f:7: the action of step s1 is another"):
        plan("s1", "Y")


# On a server


@pytest.fixture(params=["real", "documented"])
def env(request):
    """A server of its own, in both forms."""
    with SimulatorThread(config(operativus={"form": request.param})) as process:
        yield leading_to_operativus(process)


def written(tmp_path, *wanted, name="Briefing", more=""):
    """A file of one workflow with these agents, each with an action."""
    listed = "".join(f"  - {{agent: {agent}, action: {action}}}\n" for agent, action in wanted)
    (tmp_path / "f.yaml").write_text(f"name: {name}\n{more}steps:\n{listed}")
    return "f.yaml"


CHANGING = {"create", "update", "delete", "add_step", "update_step", "remove_step"}


def counted_changes(env):
    """How many requests have changed something."""
    with urlopen(f"{env['OPERATIVUS_BASE_URL']}/_simulator/state", timeout=10) as answer:
        requests = json.load(answer)["requests"]
    return sum(number for name, number in requests.items() if name in CHANGING)


def test_apply_makes_workflow_and_then_changes_nothing(opus, env, tmp_path):
    (tmp_path / "f.yaml").write_text(YAML.replace("  - name: no\n    id: 17\n", ""))
    shown = opus("operativus", "apply", "f.yaml", "--dry-run", env=env)
    assert (shown.code, asked(env, "GET", WORKFLOWS)["content"]) == (0, [])
    assert "+ workflow Briefing\n    + step 1, finance_agent: Fetch the prices.\n" in shown.out
    done = opus("operativus", "apply", "f.yaml", env=env)
    assert (done.code, done.out) == (0, shown.out)
    assert "1 change made." in done.err
    (made,) = asked(env, "GET", WORKFLOWS)["content"]
    assert steps(env, made["id"]) == [
        ("finance_agent", "Fetch the prices."),
        ("writer_agent", "Sum them\nup.\n"),
    ]
    before = counted_changes(env)
    again = opus("operativus", "apply", "f.yaml", env=env)
    assert (again.code, again.out) == (0, f"= workflow Briefing ({made['id']}): no difference\n")
    assert counted_changes(env) == before


def test_apply_changes_only_what_differs(opus, env, tmp_path):
    flow = workflow(env, "finance_agent", "writer_agent", action="A")
    before = counted_changes(env)
    words = (("finance_agent", "A"), ("research_agent", "A"), ("writer_agent", "New"))
    said = opus("operativus", "apply", written(tmp_path, *words, more="description: d\n"), "--json", env=env)
    assert said.code == 0, said.err
    (plan,) = said.json["workflows"]
    assert [change["change"] for change in plan["changes"]] == ["describe", "change_step", "add_step"]
    assert steps(env, flow) == list(words)
    assert asked(env, "GET", f"{WORKFLOWS}/{flow}")["description"] == "d"
    assert counted_changes(env) == before + 3


def test_apply_removes_nothing_without_prune_and_says_what_is_left(opus, env, tmp_path):
    flow = workflow(env, "finance_agent", "writer_agent", "research_agent", action="A")
    file = written(tmp_path, ("finance_agent", "A"), ("research_agent", "A"))
    said = opus("operativus", "apply", file, env=env)
    assert said.code == 1
    assert "! step 2, writer_agent: A is not in the file; --prune removes it" in said.out
    assert "1 step that the file does not have stays" in said.err
    assert len(steps(env, flow)) == 3
    pruned = opus("operativus", "apply", file, "--prune", env=env)
    assert (pruned.code, "- step 2, writer_agent: A" in pruned.out) == (0, True), pruned.err
    assert steps(env, flow) == [("finance_agent", "A"), ("research_agent", "A")]


def test_apply_replaces_step_with_another_action_only_with_prune(opus, env, tmp_path):
    flow = workflow(env, "finance_agent", "writer_agent", action="A")
    file = written(tmp_path, ("finance_agent", "A"), ("writer_agent", "B"))
    dry = opus("operativus", "apply", file, "--prune", "--dry-run", env=env)
    assert (dry.code, len(steps(env, flow))) == (0, 2)
    assert "    + step 2, writer_agent: B\n    - step 2, writer_agent: A\n" in dry.out
    assert opus("operativus", "apply", file, "--prune", env=env).code == 0
    assert steps(env, flow) == [("finance_agent", "A"), ("writer_agent", "B")]
    assert opus("operativus", "apply", file, env=env).code == 0


def test_apply_moves_steps(opus, env, tmp_path):
    flow = workflow(env, "finance_agent", "writer_agent", "research_agent", action="A")
    words = (("research_agent", "A"), ("finance_agent", "A"), ("writer_agent", "A"))
    assert opus("operativus", "apply", written(tmp_path, *words), env=env).code == 0
    assert steps(env, flow) == list(words)


def test_apply_finds_workflow_by_id_and_renames_it(opus, env, tmp_path):
    flow, _ = workflow(env, name="Old"), workflow(env, name="Old")
    file = written(tmp_path, ("finance_agent", "AGENT"), ("writer_agent", "AGENT"), name="Old")
    refused = opus("operativus", "apply", file, env=env)
    assert refused.code == 2
    assert "f.yaml:1: 2 workflows are named 'Old': give the id" in refused.err
    (tmp_path / "f.yaml").write_text(f"name: New\nid: {flow}\n")
    said = opus("operativus", "apply", "f.yaml", env=env)
    assert (said.code, "~ name: 'Old' -> 'New'" in said.out) == (0, True), said.err
    assert asked(env, "GET", f"{WORKFLOWS}/{flow}")["name"] == "New"
    (tmp_path / "f.yaml").write_text("name: New\nid: nope\n")
    gone = opus("operativus", "apply", "f.yaml", env=env)
    assert (gone.code, "f.yaml:1: there is no workflow nope" in gone.err) == (2, True)


def test_apply_refuses_file_that_means_one_workflow_twice(opus, env, tmp_path):
    """By its id, and by the name that it has now: --prune would remove what the other says."""
    flow = workflow(env, "finance_agent", name="Old", action="A")
    (tmp_path / "f.yaml").write_text(
        f"workflows:\n  - name: New\n    id: {flow}\n    steps: [{{agent: finance_agent, action: A}}]\n"
        "  - name: Old\n    steps: [{agent: writer_agent, action: B}]\n"
    )
    said = opus("operativus", "apply", "f.yaml", "--prune", env=env)
    assert (said.code, f"f.yaml:5: workflow {flow} (now named 'Old') is meant at" in said.err) == (2, True)
    assert steps(env, flow) == [("finance_agent", "A")]


def test_apply_that_fails_tells_how_far_it_came_and_goes_on_when_it_is_run_again(opus, env, tmp_path):
    flow = workflow(env, "finance_agent", action="A")
    words = (("finance_agent", "A"), ("writer_agent", "B"), ("no_such_agent", "C"))
    said = opus("operativus", "apply", written(tmp_path, *words), env=env)
    assert said.code == 2
    assert "belong. 1 of 2 changes had been made by then: run the same command again to go on" in said.err
    assert len(steps(env, flow)) == 2
    fixed = (*words[:2], ("research_agent", "C"))
    assert opus("operativus", "apply", written(tmp_path, *fixed), env=env).code == 0
    assert steps(env, flow) == list(fixed)


def test_apply_of_wrong_file_asks_nobody(opus, tmp_path):
    (tmp_path / "f.yaml").write_text("nam: x\n")
    nowhere = {"OPERATIVUS_BASE_URL": "http://127.0.0.1:1", "OPERATIVUS_TOKEN": "t"}
    said = opus("operativus", "apply", "f.yaml", env=nowhere)
    assert said.code == 2
    assert "f.yaml cannot be applied; nothing was changed:\n  f.yaml:1: 'nam' is no field" in said.err
