//! Tables of args: every spelling, every verb, every refusal.

use super::*;

fn parse(verb: Verb, args: &str) -> (OperationArgs, String) {
    let args: Vec<String> = args
        .split(' ')
        .filter(|arg| !arg.is_empty())
        .map(str::to_owned)
        .collect();
    let (read, problems) = OperationArgs::parse(verb, &args);
    let problems: Vec<_> = problems
        .iter()
        .map(|problem| format!("{}: {}", problem.index, problem.message))
        .collect();
    (read, problems.join("\n"))
}

#[test]
fn every_spelling_of_a_flag_is_read() {
    let args = "--name=a --generate-name b- -pone=1 -p=two=2 -p three=3 --parameter four=a=b -l x=1,y=2 --priority 5 \
                --serviceaccount sa --entrypoint main -f values.yaml --strict=false -w --loglevel debug --instanceid i -n other";
    let (read, problems) = parse(Verb::Submit, args);
    assert_eq!(problems, "");
    let parameters: Vec<_> = read
        .submit
        .parameters
        .iter()
        .map(|p| format!("{}={}", p.name, p.value))
        .collect();
    assert_eq!(parameters, ["one=1", "two=2", "three=3", "four=a=b"]);
    assert_eq!(
        (
            read.submit.name.as_deref(),
            read.submit.generate_name.as_deref()
        ),
        (Some("a"), Some("b-"))
    );
    assert_eq!(
        (read.submit.labels.len(), read.submit.priority),
        (2, Some(5))
    );
    assert_eq!((read.strict, read.wait), (false, true));
    assert_eq!(
        (read.instance_id.as_str(), read.namespace.as_deref()),
        ("i", Some("other"))
    );
    assert_eq!(read.parameter_files, ["values.yaml"]);
    assert_eq!(read.without_effect, ["--loglevel"]);
}

#[test]
fn each_verb_has_its_own_flags() {
    for (verb, args, expected) in [
        (
            Verb::Resume,
            "--foo --bar",
            "0: unknown flag --foo of resume; it takes --node-field-selector, --instanceid, --namespace\n1: unknown flag --bar of resume; it takes --node-field-selector, --instanceid, --namespace",
        ),
        (
            Verb::Suspend,
            "--message x",
            "0: unknown flag --message of suspend; it takes --instanceid, --namespace",
        ),
        (
            Verb::Stop,
            "--message",
            "0: flag --message must be followed by a value",
        ),
        (
            Verb::Terminate,
            "--dry-run",
            "0: flag --dry-run must not be set: with it nothing would be done; `tiphys render` is the dry run of a sensor",
        ),
        (
            Verb::Retry,
            "--node-field-selector colour=red",
            "0: flag --node-field-selector: invalid node field selector \"colour=red\": nodes have no field \"colour\", but displayName, name, id, phase, templateName, templateRef.name, templateRef.template and inputs.parameters.<NAME>.value",
        ),
        (
            Verb::Resubmit,
            "--memoized=perhaps",
            "0: flag --memoized must be true or false, not \"perhaps\"",
        ),
        (
            Verb::Submit,
            "-p x",
            "0: flag -p: expected parameter of the form: NAME=VALUE. Received: x",
        ),
        (
            Verb::Submit,
            "file.yaml",
            "0: \"file.yaml\" is no flag; submit takes its object from the source",
        ),
        (
            Verb::SubmitFrom,
            "--priority 1",
            "0: unknown flag --priority of submit-from; it takes --name, --generate-name, --entrypoint, --parameter, --parameter-file, --serviceaccount, --labels, --strict, --wait, --scheduled-time, --instanceid, --namespace\n1: \"1\" is no flag; submit-from takes its object from the source",
        ),
        (
            Verb::Submit,
            "-s argo:2746",
            "0: flag -s must not be set: the trigger speaks to the Kubernetes API, not to an Argo Server",
        ),
    ] {
        assert_eq!(parse(verb, args).1, expected);
    }
}

#[test]
fn names_and_selectors_say_which_workflows() {
    let (read, problems) = parse(
        Verb::Retry,
        "other --restart-successful --node-field-selector id=a -l a=b --field-selector metadata.name=x -- -odd",
    );
    assert_eq!(problems, "");
    assert_eq!(read.names, ["other", "-odd"]);
    assert_eq!(read.selection.labels.as_deref(), Some("a=b"));
    assert!(read.retry().restart_successful && read.nodes.is_some());
}

#[test]
fn a_whole_line_in_one_item_gets_a_hint() {
    let (_, problems) = OperationArgs::parse(Verb::Stop, &["--message bye".to_owned()]);
    assert!(
        problems[0]
            .message
            .contains("each word must be an item of its own"),
        "{problems:?}"
    );
}
