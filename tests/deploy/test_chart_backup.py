"""The CronJob of backups, and what Jobs that restore are made of, as the chart renders them."""

import re

import pytest

from chart import CHART, REPOSITORY, Object, Values, helm, named, of_kind, render, values_of

ON: Values = {"persistence": {"enabled": True}, "backup": {"enabled": True}}
SECRETS = {"S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "RESTIC_PASSWORD"}
DAY_S = 86_400
# `${NAME:-…}` and the like in the scripts.
VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]+)[:}]|\$([A-Z][A-Z0-9_]+)")


def cron_job(values: Values, name: str = "digital-twin-backup") -> Object:
    return named("CronJob", name, render(values))


def environment(pod: Object) -> dict[str, Object]:
    return {variable["name"]: variable for variable in pod["spec"]["containers"][0]["env"]}


def test_runs_do_not_overlap_and_come_to_an_end() -> None:
    spec = cron_job(ON)["spec"]
    job = spec["jobTemplate"]["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == ("0 2 * * *", "Forbid")
    assert job["activeDeadlineSeconds"] and job["backoffLimit"] <= 3
    assert job["template"]["spec"]["restartPolicy"] == "Never"


def test_pods_of_jobs_that_have_ended_go_in_the_end() -> None:
    for one in of_kind("CronJob", render(ON)):
        assert 3 * DAY_S <= one["spec"]["jobTemplate"]["spec"]["ttlSecondsAfterFinished"] <= 30 * DAY_S


def test_secrets_are_named_and_not_known() -> None:
    variables = environment(cron_job(ON)["spec"]["jobTemplate"]["spec"]["template"])
    by_reference = {name for name, variable in variables.items() if "value" not in variable}
    assert by_reference == SECRETS
    assert {variables[name]["valueFrom"]["secretKeyRef"]["name"] for name in SECRETS} == {"s3-credentials"}


def test_a_backup_lands_beside_the_recorder_and_only_reads() -> None:
    template = cron_job(ON)["spec"]["jobTemplate"]["spec"]["template"]
    [term] = template["spec"]["affinity"]["podAffinity"]["requiredDuringSchedulingIgnoredDuringExecution"]
    wanted = term["labelSelector"]["matchLabels"]
    # It has the label itself: where nothing records, it may run anywhere.
    assert wanted.items() <= template["metadata"]["labels"].items()
    recorder = named("Deployment", "digital-twin-recorder-robot1", render(values_of("backup")))
    assert wanted.items() <= recorder["spec"]["template"]["metadata"]["labels"].items()
    mounts = {mount["name"]: mount for mount in template["spec"]["containers"][0]["volumeMounts"]}
    assert mounts["simulation-data"]["readOnly"] is True


def test_every_variable_that_a_pod_sets_is_one_that_the_scripts_read() -> None:
    scripts = [script.read_text() for script in (CHART / "files" / "backup").glob("*.sh")]
    read = {name for script in scripts for pair in VARIABLE.findall(script) for name in pair}
    for one in of_kind("CronJob", render(ON)):
        assert environment(one["spec"]["jobTemplate"]["spec"]["template"]).keys() <= read | {"HOME", "AWS_DEFAULT_REGION"}


def test_only_somebody_restores_and_no_upgrade() -> None:
    """A Job of the release would be made again by an upgrade, or be in its way: a Job's pods cannot change."""
    found = render(ON)
    assert of_kind("Job", found) == []
    spec = named("CronJob", "digital-twin-restore", found)["spec"]
    assert spec["suspend"] is True and spec["schedule"] == "0 0 31 2 *"
    assert not [one for one in of_kind("CronJob", render({})) if one["metadata"]["name"] == "digital-twin-restore"]


def test_a_restore_writes_where_nothing_is_unless_it_is_told_to() -> None:
    template = cron_job(ON, "digital-twin-restore")["spec"]["jobTemplate"]["spec"]["template"]
    variables = environment(template)
    assert (variables["RESTORE_MODE"]["value"], variables["RESTORE_SNAPSHOT"]["value"]) == ("empty", "latest")
    mounts = {mount["name"]: mount for mount in template["spec"]["containers"][0]["volumeMounts"]}
    assert mounts["simulation-data"]["readOnly"] is False


def test_the_documented_restore_sets_variables_of_the_pod() -> None:
    page = (REPOSITORY / "docs" / "backup.md").read_text()
    set_there = set(re.findall(r'"(RESTORE_[A-Z]+)=', page))
    variables = environment(cron_job(ON, "digital-twin-restore")["spec"]["jobTemplate"]["spec"]["template"])
    assert set_there == {name for name in variables if name.startswith("RESTORE_")}
    assert "--from=cronjob/digital-twin-restore" in page


@pytest.mark.parametrize(
    "backup",
    [
        {"password": "secret"},
        {"s3": {"bucket": "No_Bucket"}},
        {"keep": {"daily": 0}},
        {"schedule": "at two"},
        {"checkSubset": "0%"},
    ],
)
def test_wrong_values_are_refused(backup: Object) -> None:
    with pytest.raises(helm.HelmError, match=r"at '/backup"):
        render({**ON, "backup": {"enabled": True, **backup}})


def test_there_is_no_backup_without_a_volume() -> None:
    with pytest.raises(helm.HelmError, match=r"persistence\.enabled"):
        render({"backup": {"enabled": True}})
