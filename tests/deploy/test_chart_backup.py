"""The CronJob of backups and the Job of restores, as the chart renders them."""

import re

import pytest

from chart import CHART, Object, Values, helm, named, of_kind, render, values_of

ON: Values = {"persistence": {"enabled": True}, "backup": {"enabled": True}}
SECRETS = {"S3_ENDPOINT", "AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "RESTIC_PASSWORD"}
# `${NAME:-…}` and the like in the scripts.
VARIABLE = re.compile(r"\$\{([A-Z][A-Z0-9_]+)[:}]|\$([A-Z][A-Z0-9_]+)")


def cron_job(values: Values) -> Object:
    return named("CronJob", "digital-twin-backup", render(values))


def environment(pod: Object) -> dict[str, Object]:
    return {variable["name"]: variable for variable in pod["spec"]["containers"][0]["env"]}


def restore_jobs(restore: Object) -> list[Object]:
    return of_kind("Job", render({**ON, "backup": {"enabled": True, "restore": {"enabled": True, **restore}}}))


def test_runs_do_not_overlap_and_come_to_an_end() -> None:
    spec = cron_job(ON)["spec"]
    job = spec["jobTemplate"]["spec"]
    assert (spec["schedule"], spec["concurrencyPolicy"]) == ("0 2 * * *", "Forbid")
    assert job["activeDeadlineSeconds"] and job["backoffLimit"] <= 3
    assert job["template"]["spec"]["restartPolicy"] == "Never"


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
    [restore] = restore_jobs({})
    for pod in (cron_job(ON)["spec"]["jobTemplate"]["spec"]["template"], restore["spec"]["template"]):
        assert environment(pod).keys() <= read | {"HOME", "AWS_DEFAULT_REGION"}


def test_a_restore_is_asked_for_and_happens_once_for_the_same_values() -> None:
    assert of_kind("Job", render(ON)) == []
    names = [restore_jobs(restore)[0]["metadata"]["name"] for restore in ({}, {}, {"mode": "beside"})]
    assert names[0] == names[1] != names[2]
    variables = environment(restore_jobs({"mode": "beside", "snapshot": "0123abcd"})[0]["spec"]["template"])
    assert (variables["RESTORE_MODE"]["value"], variables["RESTORE_SNAPSHOT"]["value"]) == ("beside", "0123abcd")


@pytest.mark.parametrize(
    "backup",
    [
        {"password": "secret"},
        {"s3": {"bucket": "No_Bucket"}},
        {"keep": {"daily": 0}},
        {"schedule": "at two"},
        {"checkSubset": "0%"},
        {"restore": {"mode": "all"}},
        {"restore": {"snapshot": "--help"}},
    ],
)
def test_wrong_values_are_refused(backup: Object) -> None:
    with pytest.raises(helm.HelmError, match=r"at '/backup"):
        render({**ON, "backup": {"enabled": True, **backup}})


def test_there_is_no_backup_without_a_volume() -> None:
    with pytest.raises(helm.HelmError, match=r"persistence\.enabled"):
        render({"backup": {"enabled": True}})
