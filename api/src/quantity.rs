//! Amounts such as `250m`, `1.5Gi`, `2e3`: exact, with the canonical form of Kubernetes
//! (apimachinery `api/resource`).
