//! The examples of deployment, as far as they can be checked here.

use std::path::PathBuf;

use super::process::{Program, refused};
use super::protection::{make_certificate, system};
use crate::lab::Lab;

fn example(name: &str) -> String {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy");
    std::fs::read_to_string(folder.join(name)).unwrap()
}

#[test]
fn the_options_can_be_used() {
    let Some(lab) = Lab::new() else { return };
    let Some(mut openssl) = system("openssl") else { return };
    let folder = lab.path("etc");
    std::fs::create_dir(&folder).unwrap();
    make_certificate(&mut openssl, &folder);
    lab.write("etc/tokens", "0123456789abcdef\nteam-a aaaaaaaaaaaaaaaa\n");
    for (program, name) in [(Program::Scheduler, "scheduler.toml"), (Program::Assets, "assets.toml")] {
        let here = example(name).replace("/etc/mcp-jupyter", &folder.display().to_string());
        lab.write(name, &here.replace("/var/lib", &lab.path("var").display().to_string()));
        let checked = refused(&lab, program, &["--config", name, "--check-config"]);
        assert_eq!(checked.code, 0, "{name}: {}", checked.stderr);
    }
}

#[test]
fn the_units_are_understood_by_systemd() {
    let Some(lab) = Lab::new() else { return };
    for name in ["mcp-scheduler-service", "mcp-asset-service"] {
        let Some(mut verify) = system("systemd-analyze") else {
            return;
        };
        let unit = example(&format!("systemd/{name}.service"));
        // The program has to be there.
        lab.write(
            &format!("{name}.service"),
            &unit.replace(&format!("/usr/local/bin/{name}"), "/bin/true"),
        );
        let verified = verify
            .arg("verify")
            .arg(lab.path(&format!("{name}.service")))
            .output()
            .unwrap();
        let complaint = String::from_utf8_lossy(&verified.stderr);
        let ours: Vec<&str> = complaint.lines().filter(|line| line.contains(name)).collect();
        assert!(ours.is_empty(), "{ours:?}");
    }
}

const CHECK: &str = "
import sys, yaml
folder = sys.argv[1]
compose = yaml.safe_load(open(folder + '/compose.yaml'))
for name, service in compose['services'].items():
    image = open(folder + '/' + service['build']['dockerfile'].removeprefix('examples/deploy/')).read()
    port = service['ports'][0].split(':')[1]
    assert f'EXPOSE {port} ' in image and f'/etc/mcp-jupyter/{name}.toml' in image, name
    options = open(f'{folder}/{name}.toml').read()
    assert f'0.0.0.0:{port}' in options, name
    mounted = {volume.split(':')[1] for volume in service['volumes'] if volume.startswith('./')}
    named = {word.strip('\"') for word in options.split() if word.startswith('\"/etc/')}
    assert named < mounted, named - mounted
    assert all(volume.split(':')[0] in compose['volumes'] for volume in service['volumes'] if volume[0] != '.')
documents = list(yaml.safe_load_all(open(folder + '/kubernetes.yaml')))
workloads = {d['metadata']['name']: d['spec'] for d in documents if d['kind'] in ('Deployment', 'StatefulSet')}
services = {d['metadata']['name']: d['spec'] for d in documents if d['kind'] == 'Service'}
assert workloads.keys() == services.keys() == {'mcp-scheduler-service', 'mcp-asset-service'}
for name, spec in workloads.items():
    pod = spec['template']
    assert pod['metadata']['labels'] == spec['selector']['matchLabels'] == services[name]['selector']
    (container,) = pod['spec']['containers']
    assert container['image'] == name
    options = open(folder + '/' + container['args'][1].rsplit('/', 1)[1]).read()
    ports = {port['name']: port['containerPort'] for port in container['ports']}
    assert f\"0.0.0.0:{ports['grpc']}\" in options and f\"0.0.0.0:{ports['admin']}\" in options
    assert services[name]['ports'][0]['port'] == ports['grpc']
    assert container['readinessProbe']['httpGet'] == {'path': '/readyz', 'port': 'admin'}
    volumes = {v['name'] for v in pod['spec']['volumes']} | {c['metadata']['name'] for c in spec.get('volumeClaimTemplates', [])}
    assert {mount['name'] for mount in container['volumeMounts']} == volumes
print('all agree')
";

#[test]
fn containers_and_cluster_name_the_same_ports_files_and_programs() {
    let Some(lab) = Lab::new() else { return };
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../examples/deploy");
    let checked = lab.python_command(&["-c", CHECK]).arg(&folder).output().unwrap();
    let told = String::from_utf8_lossy(&checked.stdout);
    assert_eq!(told, "all agree\n", "{}", String::from_utf8_lossy(&checked.stderr));
}
