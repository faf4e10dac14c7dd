//! Variables that name the services of a namespace (kubelet `envvars.FromServices`).

use k8s_openapi::api::core::v1::Service;

/// The variables for a pod in `namespace`; with `linked` false, only those of the API server.
pub(super) fn variables<'a>(
    services: impl Iterator<Item = &'a Service>,
    namespace: &str,
    linked: bool,
) -> Vec<(String, String)> {
    let mut chosen: Vec<&Service> = services
        .filter(|service| {
            let (space, name) = (service.metadata.namespace.as_deref(), service.metadata.name.as_deref());
            let api_server = space == Some("default") && name == Some("kubernetes");
            api_server || (linked && space == Some(namespace))
        })
        .filter(|service| address(service).is_some())
        .collect();
    // The namespace's own services win over the API server's.
    chosen.sort_by_key(|service| {
        (service.metadata.namespace.as_deref() == Some(namespace), service.metadata.name.clone())
    });
    let mut all = std::collections::BTreeMap::new();
    for service in chosen {
        all.extend(of_service(service));
    }
    all.into_iter().collect()
}

fn address(service: &Service) -> Option<&str> {
    service.spec.as_ref()?.cluster_ip.as_deref().filter(|ip| !ip.is_empty() && *ip != "None")
}

fn of_service(service: &Service) -> Vec<(String, String)> {
    let (Some(ip), Some(spec)) = (address(service), &service.spec) else { return Vec::new() };
    let name = variable_name(service.metadata.name.as_deref().unwrap_or_default());
    let ports = spec.ports.as_deref().unwrap_or_default();
    let Some(first) = ports.first() else { return Vec::new() };
    let mut all =
        vec![(format!("{name}_SERVICE_HOST"), ip.to_owned()), (format!("{name}_SERVICE_PORT"), first.port.to_string())];
    for (index, port) in ports.iter().enumerate() {
        if let Some(port_name) = port.name.as_deref().filter(|name| !name.is_empty()) {
            all.push((format!("{name}_SERVICE_PORT_{}", variable_name(port_name)), port.port.to_string()));
        }
        let protocol = port.protocol.as_deref().unwrap_or("TCP");
        let url = format!("{}://{ip}:{}", protocol.to_lowercase(), port.port);
        if index == 0 {
            all.push((format!("{name}_PORT"), url.clone()));
        }
        let prefix = format!("{name}_PORT_{}_{}", port.port, protocol.to_uppercase());
        all.push((prefix.clone(), url));
        all.push((format!("{prefix}_PROTO"), protocol.to_lowercase()));
        all.push((format!("{prefix}_PORT"), port.port.to_string()));
        all.push((format!("{prefix}_ADDR"), ip.to_owned()));
    }
    all
}

fn variable_name(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}
