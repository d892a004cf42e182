use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tidegate_component::testing::{HereWorkers, ProcessorBench, read};
use tidegate_component::{BuildContext, ComponentConfig};
use tidegate_pdata::view::AnyValue;
use tidegate_pdata::{Payload, Signal};
use tidegate_transport::client::{HttpChannel, HttpClient, HttpCompression};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, UnixListener};

use super::config::Config;
use super::detection::{Detection, Plan};
use super::world::World;

/// A server that answers by method and path, and remembers the heads of requests.
struct Server {
    address: String,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    /// Answers these requests, as `GET /path`, with these bodies, and everything else with 404. A
    /// body of three digits is a status.
    async fn start(answers: &[(&str, &str)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let own = |(ask, body): &(&str, &str)| ((*ask).to_owned(), (*body).to_owned());
        let answers: Arc<BTreeMap<String, String>> = Arc::new(answers.iter().map(own).collect());
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let seen = Arc::clone(&heads);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&answers), Arc::clone(&seen)));
            }
        });
        Self { address, heads }
    }

    fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

async fn converse(
    mut stream: impl AsyncReadExt + AsyncWriteExt + Unpin,
    answers: Arc<BTreeMap<String, String>>,
    heads: Arc<Mutex<Vec<String>>>,
) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let mut byte = [0];
        if stream.read(&mut byte).await.unwrap_or(0) == 0 {
            return;
        }
        head.push(byte[0]);
    }
    let head = String::from_utf8(head).unwrap().to_lowercase();
    let asked: Vec<_> = head.lines().next().unwrap().split(' ').take(2).collect();
    let asked = asked.join(" ");
    heads.lock().unwrap().push(head);
    let found = answers
        .iter()
        .find(|(known, _)| known.to_lowercase() == asked);
    let (status, body) = match found.map(|(_, body)| body.as_str()) {
        None => ("404", ""),
        Some(status) if status.len() == 3 && status.parse::<u16>().is_ok() => (status, ""),
        Some(body) => ("200", body),
    };
    let length = body.len();
    let answer = format!(
        "HTTP/1.1 {status} X\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}"
    );
    let _ = stream.write_all(answer.as_bytes()).await;
}

fn channel() -> HttpChannel {
    let settings = HttpClient::default().build(HttpCompression::None).unwrap();
    settings.start(None).unwrap()
}

/// What a detection finds in a world, `key=value` each, or why it fails.
async fn found(yaml: &str, world: &World) -> Result<Vec<String>, String> {
    let cx = BuildContext::detached("processor", "resource_detection".parse().unwrap());
    let plan: Plan = read::<Config>(yaml).plan().unwrap();
    let detection = Detection::of(plan, &cx).unwrap();
    detection
        .renew(world)
        .await
        .map_err(|error| error.to_string())?;
    let found = detection.found();
    let found = found
        .iter()
        .map(|(name, value)| format!("{name}={}", text(value.view())));
    Ok(found.collect())
}

fn text(value: AnyValue<'_>) -> String {
    match value {
        AnyValue::String(text) => text.to_string(),
        AnyValue::Int(int) => int.to_string(),
        AnyValue::Array(values) => {
            let values: Vec<_> = values.into_iter().map(text).collect();
            format!("[{}]", values.join(" "))
        }
        other => format!("{other:?}"),
    }
}

/// A world without files, whose cloud's server is this.
fn world(variables: &[(&str, &str)], metadata: &str) -> World {
    World::fake(channel(), variables, Path::new("/no/such/root"), metadata)
}

/// A port that nobody listens on.
const NOWHERE: &str = "http://127.0.0.1:1";

fn has(found: &[String], expected: &[&str]) {
    let mut found: Vec<_> = found.iter().map(String::as_str).collect();
    found.sort_unstable();
    let mut expected = expected.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected);
}

#[tokio::test]
async fn env_reads_the_variable_as_the_collector_does() {
    let text = " deployment.environment = prod ,team=a%20b+c, empty=,";
    let variables = [("OTEL_RESOURCE_ATTRIBUTES", text)];
    let all = found("{}", &world(&variables, NOWHERE)).await.unwrap();
    has(
        &all,
        &["deployment.environment=prod", "team=a b c", "empty="],
    );
    let some = "{env: {allowlist: [team]}}";
    has(
        &found(some, &world(&variables, NOWHERE)).await.unwrap(),
        &["team=a b c"],
    );
    let older = [("OTEL_RESOURCE", "a=1")];
    has(
        &found("{}", &world(&older, NOWHERE)).await.unwrap(),
        &["a=1"],
    );
    has(&found("{}", &world(&[], NOWHERE)).await.unwrap(), &[]);
    for wrong in ["a", "=1", "a=1,,b=2", "a=%zz", "a=ä"] {
        let variables = [("OTEL_RESOURCE_ATTRIBUTES", wrong)];
        let yaml = "{retry: {enabled: false}}";
        let fault = found(yaml, &world(&variables, NOWHERE)).await.unwrap_err();
        assert!(fault.contains("env: OTEL_RESOURCE_ATTRIBUTES"), "{fault}");
    }
}

#[tokio::test]
async fn system_reads_the_files_of_the_host() {
    let root = tempfile::tempdir().unwrap();
    let write = |path: &str, text: &str| {
        let path = root.path().join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    };
    write("proc/sys/kernel/hostname", "web\n");
    write("proc/sys/kernel/ostype", "Linux\n");
    write("proc/sys/kernel/osrelease", "6.1.0\n");
    write("proc/sys/kernel/version", "#1 SMP\n");
    write(
        "proc/cpuinfo",
        "processor\t: 0\nvendor_id\t: V\ncpu family\t: 6\nmodel\t\t: 85\nmodel name\t: X\nstepping\t: 7\ncache size\t: 1024 KB\n\nprocessor\t: 1\nvendor_id\t: W\n",
    );
    write("etc/hosts", "10.0.0.7 web.example.com web\n");
    write("etc/machine-id", "abc\n");
    write(
        "etc/os-release",
        "NAME=\"Debian GNU/Linux\"\nVERSION=\"13 (trixie)\"\nVERSION_ID=\"13\"\n",
    );
    let world = World::fake(channel(), &[], root.path(), NOWHERE);
    let usual = found("{detectors: [system]}", &world).await.unwrap();
    has(&usual, &["host.name=web.example.com", "os.type=linux"]);
    let switches = [
        "host.id",
        "os.description",
        "host.cpu.family",
        "host.cpu.cache.l2.size",
        "host.cpu.vendor.id",
        "host.arch",
    ]
    .map(|name| format!("{name}: {{enabled: true}}"));
    let yaml = format!(
        "{{detectors: [system], system: {{hostname_sources: [os], resource_attributes: {{os.type: {{enabled: false}}, {}}}}}}}",
        switches.join(", ")
    );
    let all = found(&yaml, &world).await.unwrap();
    let description = format!(
        "os.description=Debian GNU/Linux 13 (trixie) (Linux web 6.1.0 #1 SMP {})",
        std::env::consts::ARCH
    );
    let arch = match std::env::consts::ARCH {
        "x86_64" => "host.arch=amd64",
        "aarch64" => "host.arch=arm64",
        other => panic!("what is {other} called?"),
    };
    has(
        &all,
        &[
            "host.name=web",
            "host.id=abc",
            "host.cpu.family=6",
            "host.cpu.cache.l2.size=1024",
            "host.cpu.vendor.id=V",
            &description,
            arch,
        ],
    );
}

const DOCUMENT: &str = r#"{"accountId": "42", "availabilityZone": "eu-west-1b", "region": "eu-west-1",
    "instanceId": "i-7", "imageId": "ami-7", "instanceType": "m5.large"}"#;

#[tokio::test]
async fn ec2_asks_with_a_token_and_reads_tags() {
    let server = Server::start(&[
        ("PUT /latest/api/token", "secret"),
        ("GET /latest/dynamic/instance-identity/document", DOCUMENT),
        ("GET /latest/meta-data/hostname", "ip-10-0-0-7"),
        ("GET /latest/meta-data/tags/instance", "team\nother"),
        ("GET /latest/meta-data/tags/instance/team", "a"),
    ])
    .await;
    let yaml = "{detectors: [ec2], ec2: {tags: ['^te'], tags_from_imds: true, resource_attributes: {host.image.id: {enabled: false}}}}";
    let variables = [("AWS_EC2_METADATA_SERVICE_ENDPOINT", &*server.url())];
    let all = found(yaml, &world(&variables, NOWHERE)).await.unwrap();
    has(
        &all,
        &[
            "cloud.provider=aws",
            "cloud.platform=aws_ec2",
            "cloud.region=eu-west-1",
            "cloud.account.id=42",
            "cloud.availability_zone=eu-west-1b",
            "host.id=i-7",
            "host.type=m5.large",
            "host.name=ip-10-0-0-7",
            "ec2.tag.team=a",
        ],
    );
    let heads = server.heads();
    assert!(
        heads[0].contains("x-aws-ec2-metadata-token-ttl-seconds: 21600"),
        "{heads:?}"
    );
    let with_token = heads[1..]
        .iter()
        .all(|head| head.contains("x-aws-ec2-metadata-token: secret"));
    assert!(with_token, "{heads:?}");
}

#[tokio::test]
async fn an_older_metadata_service_is_asked_without_a_token() {
    let server = Server::start(&[
        ("PUT /latest/api/token", "403"),
        ("GET /latest/dynamic/instance-identity/document", DOCUMENT),
        ("GET /latest/meta-data/hostname", "host"),
    ])
    .await;
    let all = found("{detectors: [ec2]}", &world(&[], &server.url()))
        .await
        .unwrap();
    assert!(all.contains(&"host.name=host".to_owned()), "{all:?}");
    assert!(
        !server
            .heads()
            .iter()
            .any(|head| head.contains("metadata-token:"))
    );
}

#[tokio::test]
async fn eks_is_told_by_the_version_of_its_api() {
    let server = Server::start(&[
        ("GET /version", r#"{"gitVersion": "v1.31.2-eks-7f9249a"}"#),
        ("PUT /latest/api/token", "secret"),
        ("GET /latest/dynamic/instance-identity/document", DOCUMENT),
        ("GET /latest/meta-data/hostname", "node"),
        (
            "GET /latest/meta-data/tags/instance/eks:cluster-name",
            "shop",
        ),
    ])
    .await;
    let (host, port) = server.address.split_once(':').unwrap();
    let variables = [
        ("KUBERNETES_SERVICE_HOST", host),
        ("KUBERNETES_SERVICE_PORT", port),
    ];
    let yaml =
        "{detectors: [eks, ec2], eks: {resource_attributes: {k8s.cluster.name: {enabled: true}}}}";
    let all = found(yaml, &world(&variables, &server.url()))
        .await
        .unwrap();
    // Of what both know the first counts.
    has(
        &all,
        &[
            "cloud.provider=aws",
            "cloud.platform=aws_eks",
            "cloud.region=eu-west-1",
            "cloud.account.id=42",
            "cloud.availability_zone=eu-west-1b",
            "host.id=i-7",
            "host.image.id=ami-7",
            "host.type=m5.large",
            "host.name=node",
            "k8s.cluster.name=shop",
        ],
    );
    has(
        &found("{detectors: [eks]}", &world(&[], &server.url()))
            .await
            .unwrap(),
        &[],
    );
}

#[tokio::test]
async fn ecs_reads_its_task_and_where_the_others_log() {
    let container = |id: &str, driver: &str| {
        format!(
            r#"{{"DockerId": "{id}", "Type": "NORMAL", "KnownStatus": "RUNNING", "LogDriver": "{driver}",
            "LogOptions": {{"awslogs-group": "g", "awslogs-region": "r", "awslogs-stream": "{id}"}}}}"#
        )
    };
    let task = format!(
        r#"{{"Cluster": "shop", "TaskARN": "arn:aws:ecs:eu-west-1:42:task/shop/77", "Family": "web", "Revision": "3",
        "LaunchType": "FARGATE", "AvailabilityZone": "eu-west-1a", "Containers": [{}, {}, {}]}}"#,
        container("own", "awslogs"),
        container("app", "awslogs"),
        container("odd", "json")
    );
    let own = container("own", "awslogs");
    let server = Server::start(&[("GET /v4/x/task", &task), ("GET /v4/x", &own)]).await;
    let endpoint = format!("{}/v4/x", server.url());
    let variables = [("ECS_CONTAINER_METADATA_URI_V4", &*endpoint)];
    let all = found("{detectors: [ecs]}", &world(&variables, NOWHERE))
        .await
        .unwrap();
    has(
        &all,
        &[
            "cloud.provider=aws",
            "cloud.platform=aws_ecs",
            "aws.ecs.task.arn=arn:aws:ecs:eu-west-1:42:task/shop/77",
            "aws.ecs.task.family=web",
            "aws.ecs.task.id=77",
            "aws.ecs.task.revision=3",
            "cloud.account.id=42",
            "cloud.region=eu-west-1",
            "aws.ecs.cluster.arn=arn:aws:ecs:eu-west-1:42:cluster/shop",
            "cloud.availability_zone=eu-west-1a",
            "aws.ecs.launchtype=fargate",
            "aws.log.group.names=[g]",
            "aws.log.group.arns=[arn:aws:logs:r:42:log-group:g]",
            "aws.log.stream.names=[app]",
            "aws.log.stream.arns=[arn:aws:logs:r:42:log-group:g:log-stream:app]",
        ],
    );
}

#[tokio::test]
async fn gcp_tells_its_platforms_apart() {
    let server = Server::start(&[
        ("GET /computeMetadata/v1/project/project-id", "shop"),
        ("GET /computeMetadata/v1/instance/id", "7"),
        ("GET /computeMetadata/v1/instance/name", "vm-7"),
        (
            "GET /computeMetadata/v1/instance/zone",
            "projects/1/zones/us-central1-c",
        ),
        (
            "GET /computeMetadata/v1/instance/region",
            "projects/1/regions/us-central1",
        ),
        (
            "GET /computeMetadata/v1/instance/machine-type",
            "projects/1/machineTypes/n1",
        ),
        (
            "GET /computeMetadata/v1/instance/attributes/cluster-location",
            "us-central1",
        ),
        (
            "GET /computeMetadata/v1/instance/attributes/cluster-name",
            "cluster",
        ),
    ])
    .await;
    let asked = async |more: &[(&str, &str)]| {
        let mut variables = vec![("GCE_METADATA_HOST", &*server.address)];
        variables.extend(more);
        found("{detectors: [gcp]}", &world(&variables, NOWHERE))
            .await
            .unwrap()
    };
    let common = [
        "cloud.provider=gcp",
        "cloud.account.id=shop",
        "cloud.region=us-central1",
    ];
    let with = |more: &[&'static str]| [&common[..], more].concat();
    has(
        &asked(&[]).await,
        &with(&[
            "cloud.platform=gcp_compute_engine",
            "cloud.availability_zone=us-central1-c",
            "host.id=7",
            "host.name=vm-7",
            "host.type=projects/1/machineTypes/n1",
        ]),
    );
    assert!(server.heads()[0].contains("metadata-flavor: google"));
    has(
        &asked(&[("KUBERNETES_SERVICE_HOST", "x")]).await,
        &with(&[
            "cloud.platform=gcp_kubernetes_engine",
            "k8s.cluster.name=cluster",
            "host.id=7",
            "host.name=vm-7",
        ]),
    );
    let run = [
        ("K_CONFIGURATION", "c"),
        ("K_SERVICE", "s"),
        ("K_REVISION", "r"),
    ];
    has(
        &asked(&run).await,
        &with(&[
            "cloud.platform=gcp_cloud_run",
            "faas.name=s",
            "faas.version=r",
            "faas.instance=7",
        ]),
    );
    let job = [
        ("CLOUD_RUN_JOB", "j"),
        ("CLOUD_RUN_EXECUTION", "e"),
        ("CLOUD_RUN_TASK_INDEX", "0"),
    ];
    has(
        &asked(&job).await,
        &with(&[
            "cloud.platform=gcp_cloud_run",
            "faas.name=j",
            "faas.instance=7",
            "gcp.cloud_run.job.execution=e",
            "gcp.cloud_run.job.task_index=0",
        ]),
    );
    let engine = [
        ("GAE_SERVICE", "s"),
        ("GAE_VERSION", "v"),
        ("GAE_INSTANCE", "i"),
        ("GAE_ENV", "standard"),
    ];
    has(
        &asked(&engine).await,
        &with(&[
            "cloud.platform=gcp_app_engine",
            "cloud.availability_zone=us-central1-c",
            "faas.name=s",
            "faas.version=v",
            "faas.instance=i",
        ]),
    );
}

#[tokio::test]
async fn azure_reads_its_machine_and_aks_its_cluster() {
    let compute = r#"{"location": "west", "name": "vm", "vmId": "7", "vmSize": "D2", "subscriptionId": "s",
        "resourceGroupName": "MC_group_shop_west", "vmScaleSetName": "set", "osProfile": {"computerName": "host"},
        "tagsList": [{"name": "team", "value": "a"}, {"name": "other", "value": "b"}]}"#;
    let path = "GET /metadata/instance/compute?api-version=2020-09-01&format=json";
    let server = Server::start(&[(path, compute)]).await;
    let yaml = "{detectors: [azure], azure: {tags: ['^team$']}}";
    has(
        &found(yaml, &world(&[], &server.url())).await.unwrap(),
        &[
            "cloud.provider=azure",
            "cloud.platform=azure_vm",
            "host.name=host",
            "cloud.region=west",
            "host.id=7",
            "cloud.account.id=s",
            "azure.vm.name=vm",
            "azure.vm.size=D2",
            "azure.vm.scaleset.name=set",
            "azure.resourcegroup.name=MC_group_shop_west",
            "azure.tags.team=a",
        ],
    );
    assert!(server.heads()[0].contains("metadata: true"));
    let yaml =
        "{detectors: [aks], aks: {resource_attributes: {k8s.cluster.name: {enabled: true}}}}";
    let pod = [("KUBERNETES_SERVICE_HOST", "x")];
    let aks = found(yaml, &world(&pod, &server.url())).await.unwrap();
    has(
        &aks,
        &[
            "cloud.provider=azure",
            "cloud.platform=azure_aks",
            "k8s.cluster.name=shop",
        ],
    );
}

#[tokio::test]
async fn kubernetes_is_asked_as_the_service_account() {
    let server = Server::start(&[
        (
            "GET /api/v1/nodes/node-7",
            r#"{"metadata": {"name": "node-7", "uid": "u-7"}}"#,
        ),
        (
            "GET /api/v1/namespaces/kube-system",
            r#"{"metadata": {"uid": "c-7"}}"#,
        ),
    ])
    .await;
    let root = tempfile::tempdir().unwrap();
    let account = root
        .path()
        .join("var/run/secrets/kubernetes.io/serviceaccount");
    std::fs::create_dir_all(&account).unwrap();
    std::fs::write(account.join("token"), "secret\n").unwrap();
    let (host, port) = server.address.split_once(':').unwrap();
    let variables = [
        ("KUBERNETES_SERVICE_HOST", host),
        ("KUBERNETES_SERVICE_PORT", port),
        ("K8S_NODE_NAME", "node-7"),
    ];
    let world = World::fake(channel(), &variables, root.path(), NOWHERE);
    for name in ["k8s_api", "k8snode"] {
        let all = found(&format!("{{detectors: [{name}]}}"), &world)
            .await
            .unwrap();
        has(
            &all,
            &[
                "k8s.node.name=node-7",
                "k8s.node.uid=u-7",
                "k8s.cluster.uid=c-7",
            ],
        );
    }
    assert!(
        server
            .heads()
            .iter()
            .all(|head| head.contains("authorization: bearer secret"))
    );
    let yaml =
        "{detectors: [k8s_api], retry: {enabled: false}, k8s_api: {node_from_env_var: MINE}}";
    let fault = found(yaml, &world).await.unwrap_err();
    assert!(fault.contains("MINE is not set"), "{fault}");
}

#[tokio::test]
async fn docker_is_asked_over_its_socket() {
    let root = tempfile::tempdir().unwrap();
    let hostname = root.path().join("proc/sys/kernel/hostname");
    std::fs::create_dir_all(hostname.parent().unwrap()).unwrap();
    std::fs::write(hostname, "c7\n").unwrap();
    let run = root.path().join("var/run");
    std::fs::create_dir_all(&run).unwrap();
    let listener = UnixListener::bind(run.join("docker.sock")).unwrap();
    let info = r#"{"Name": "host", "OSType": "Linux"}"#;
    let container = r#"{"Name": "/web", "Image": "sha256:7", "Config": {"Image": "registry:5000/shop/web:1.2"}}"#;
    let answers: BTreeMap<String, String> =
        [("get /info", info), ("get /containers/c7/json", container)]
            .map(|(ask, body)| (ask.to_owned(), body.to_owned()))
            .into();
    let answers = Arc::new(answers);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(converse(stream, Arc::clone(&answers), Arc::default()));
        }
    });
    let world = World::fake(channel(), &[], root.path(), NOWHERE);
    let usual = found("{detectors: [docker]}", &world).await.unwrap();
    has(&usual, &["host.name=host", "os.type=linux"]);
    let switches = [
        "container.name",
        "container.image.name",
        "container.image.id",
        "container.image.tags",
    ];
    let switches = switches
        .map(|name| format!("{name}: {{enabled: true}}"))
        .join(", ");
    let yaml = format!("{{detectors: [docker], docker: {{resource_attributes: {{{switches}}}}}}}");
    has(
        &found(&yaml, &world).await.unwrap(),
        &[
            "host.name=host",
            "os.type=linux",
            "container.name=web",
            "container.image.id=sha256:7",
            "container.image.name=registry:5000/shop/web",
            "container.image.tags=[1.2]",
        ],
    );
}

#[tokio::test]
async fn variables_tell_of_functions_and_dynos() {
    let lambda = [
        ("AWS_LAMBDA_FUNCTION_NAME", "f"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "g"),
        ("AWS_LAMBDA_LOG_STREAM_NAME", "s"),
        ("AWS_REGION", "eu-west-1"),
    ];
    has(
        &found("{detectors: [lambda]}", &world(&lambda, NOWHERE))
            .await
            .unwrap(),
        &[
            "cloud.provider=aws",
            "cloud.platform=aws_lambda",
            "cloud.region=eu-west-1",
            "faas.name=f",
            "faas.version=1",
            "faas.instance=s",
            "faas.max_memory=128",
            "aws.log.group.names=[g]",
            "aws.log.stream.names=[s]",
        ],
    );
    let heroku = [
        ("HEROKU_APP_ID", "a"),
        ("HEROKU_APP_NAME", "shop"),
        ("HEROKU_DYNO_ID", "d"),
    ];
    has(
        &found("{detectors: [heroku]}", &world(&heroku, NOWHERE))
            .await
            .unwrap(),
        &[
            "cloud.provider=heroku",
            "heroku.app.id=a",
            "heroku.dyno.id=d",
            "service.name=shop",
            "service.instance.id=d",
        ],
    );
}

#[tokio::test]
async fn elsewhere_nothing_is_found_unless_it_must_be() {
    let all = "[docker, ec2, ecs, eks, elastic_beanstalk, lambda, gcp, azure, aks, heroku]";
    let nowhere = world(&[], NOWHERE);
    has(
        &found(&format!("{{detectors: {all}}}"), &nowhere)
            .await
            .unwrap(),
        &[],
    );
    let yaml =
        format!("{{detectors: {all}, fail_on_missing_metadata: true, retry: {{enabled: false}}}}");
    let fault = found(&yaml, &nowhere).await.unwrap_err();
    for name in all.trim_matches(['[', ']']).split(", ") {
        assert!(fault.contains(&format!("{name}: ")), "{name}: {fault}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_detector_that_fails_tries_again_until_its_time_is_over() {
    let wrong = world(&[("OTEL_RESOURCE_ATTRIBUTES", "a")], NOWHERE);
    for (yaml, least, most) in [
        ("{timeout: 5s, retry: {randomization_factor: 0}}", 3, 5),
        ("{timeout: 5s, retry: {enabled: false}}", 0, 0),
        (
            "{timeout: 1s, retry: {randomization_factor: 0, max_interval: 10s, max_elapsed_time: 2m}}",
            110,
            120,
        ),
    ] {
        let start = tokio::time::Instant::now();
        let fault = found(yaml, &wrong).await.unwrap_err();
        assert!(fault.contains("env: "), "{fault}");
        let took = start.elapsed();
        let fits = took >= Duration::from_secs(least) && took <= Duration::from_secs(most);
        assert!(fits, "{yaml}: {took:?}");
    }
}

fn spans() -> Payload {
    tidegate_component::testing::realistic(Signal::Traces, 3)
}

fn attribute(payload: &Payload, name: &str) -> Option<String> {
    let resource = payload.resource_spans().next()?.resource();
    resource.attributes().get(name).map(text)
}

/// A bench on which the detection has been done.
async fn bench(yaml: &str) -> ProcessorBench {
    let bench = ProcessorBench::new::<Config>(yaml, Signal::Traces);
    let mut preparations = bench.context().preparations.take();
    assert_eq!(preparations.len(), 1);
    preparations
        .remove(0)
        .run(HereWorkers::workers())
        .await
        .unwrap();
    bench
}

#[tokio::test]
async fn what_is_found_is_added_to_resources_or_takes_their_place() {
    // The host's own name: what the kernel calls this machine.
    let kernels = std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    let kernels = kernels.trim();
    let given = spans();
    let before = attribute(&given, "host.name");
    for (replaces, expected) in [
        (true, Some(kernels.to_owned())),
        (false, before.clone().or(Some(kernels.to_owned()))),
    ] {
        let yaml = format!(
            "{{detectors: [system], override: {replaces}, system: {{hostname_sources: [os]}}}}"
        );
        let mut bench = bench(&yaml).await;
        bench.send(given.clone());
        let sent = bench.emitted();
        assert_eq!(attribute(sent[0], "host.name"), expected);
        assert_eq!(attribute(sent[0], "os.type").as_deref(), Some("linux"));
        assert_eq!(
            attribute(sent[0], "service.name"),
            attribute(&given, "service.name")
        );
    }
}

#[tokio::test]
async fn only_the_attributes_that_are_named_count() {
    let yaml = "{detectors: [system], attributes: [os.type], system: {hostname_sources: [os]}}";
    let world = World::new(channel());
    has(&found(yaml, &world).await.unwrap(), &["os.type=linux"]);
}

#[test]
fn instances_share_one_detection() {
    let cx = BuildContext::detached("processor", "resource_detection".parse().unwrap());
    let config = read::<Config>("{}");
    for _ in 0..4 {
        assert!(config.build(&cx).is_ok());
    }
    assert_eq!(cx.preparations.take().len(), 1);
}

#[test]
fn what_cannot_work_is_found_when_built() {
    let cx = BuildContext::detached("processor", "resource_detection".parse().unwrap());
    for (yaml, path) in [
        ("{detectors: []}", "detectors"),
        ("{detectors: [env, sytem]}", "detectors::1"),
        ("{detectors: [consul]}", "detectors::0"),
        ("{detectors: [ec2], ec2: {tags: [a]}}", "ec2::tags"),
        (
            "{detectors: [azure], azure: {tags: ['(']}}",
            "azure::tags::0",
        ),
        (
            "{detectors: [gcp], gcp: {resource_attributes: {host.nam: {enabled: true}}}}",
            "gcp::resource_attributes::host.nam",
        ),
        ("{timeout: 0s}", "timeout"),
        ("{retry: {multiplier: 0.5}}", "retry::multiplier"),
        (
            "{retry: {randomization_factor: 2}}",
            "retry::randomization_factor",
        ),
    ] {
        let error = read::<Config>(yaml).build(&cx).err().unwrap();
        assert_eq!(error.path, path, "{yaml}: {error}");
        assert!(error.remedy.is_some(), "{yaml}");
    }
}
