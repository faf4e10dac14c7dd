use super::*;

async fn error_of(path: &Path) -> String {
    match from_kubeconfig(path, "nodeplane-test/0").await {
        Ok(_) => panic!("{} must not make a client", path.display()),
        Err(error) => error.to_string(),
    }
}

fn file(name: &str, content: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("nodeplane-connect-{}-{name}", std::process::id()));
    std::fs::write(&path, content).unwrap();
    path
}

#[tokio::test]
async fn a_missing_file_is_named_in_the_error() {
    let error = error_of(Path::new("/nonexistent/kubeconfig")).await;
    assert!(error.contains("/nonexistent/kubeconfig"), "{error}");
    assert!(error.contains("No such file"), "{error}");
}

#[tokio::test]
async fn a_file_without_context_says_so() {
    let path = file("empty", "apiVersion: v1\nkind: Config\n");
    let error = error_of(&path).await;
    std::fs::remove_file(&path).unwrap();
    assert!(error.contains(path.to_str().unwrap()) && error.contains("context"), "{error}");
}

#[tokio::test]
async fn a_usable_file_makes_a_client() {
    let path = file(
        "usable",
        "apiVersion: v1\nkind: Config\ncurrent-context: a\n\
         clusters: [{name: c, cluster: {server: 'http://127.0.0.1:1'}}]\n\
         users: [{name: u, user: {}}]\n\
         contexts: [{name: a, context: {cluster: c, user: u}}]\n",
    );
    let client = from_kubeconfig(&path, "nodeplane-test/0").await;
    std::fs::remove_file(&path).unwrap();
    assert_eq!(client.unwrap().default_namespace(), "default");
}
