//! Whether the process runs where one instance serves one request at a time.

use std::fmt;

/// A function platform that runs one request per instance, where one connection is enough.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Serverless {
    /// AWS Lambda.
    AwsLambda,
    /// Google Cloud Functions.
    GoogleCloudFunctions,
    /// Azure Functions.
    AzureFunctions,
    /// Vercel Functions.
    Vercel,
    /// Netlify Functions.
    Netlify,
}

impl fmt::Display for Serverless {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AwsLambda => "AWS Lambda",
            Self::GoogleCloudFunctions => "Google Cloud Functions",
            Self::AzureFunctions => "Azure Functions",
            Self::Vercel => "Vercel",
            Self::Netlify => "Netlify",
        })
    }
}

impl Serverless {
    /// Looks at this process's environment.
    #[must_use]
    pub fn detect() -> Option<Self> {
        Self::detect_in(|name| std::env::var(name).ok())
    }

    /// Looks at the environment that `variable` reads.
    ///
    /// `AWS_EXECUTION_ENV` is also set on ECS and Fargate (`AWS_ECS_…`), and `K_SERVICE` on Cloud Run,
    /// which serve many requests at once: neither counts by itself.
    #[must_use]
    pub fn detect_in(variable: impl Fn(&str) -> Option<String>) -> Option<Self> {
        let is_set = |name: &str| {
            variable(name).is_some_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
        };
        let any = |names: &[&str]| names.iter().any(|name| is_set(name));
        let aws = variable("AWS_EXECUTION_ENV").unwrap_or_default();
        if aws.starts_with("AWS_Lambda_") || any(&["AWS_LAMBDA_FUNCTION_NAME", "LAMBDA_TASK_ROOT"])
        {
            Some(Self::AwsLambda)
        } else if any(&["FUNCTION_NAME", "FUNCTION_TARGET"]) {
            Some(Self::GoogleCloudFunctions)
        } else if any(&["FUNCTIONS_WORKER_RUNTIME", "AZURE_FUNCTIONS_ENVIRONMENT"]) {
            Some(Self::AzureFunctions)
        } else if any(&["VERCEL", "VERCEL_ENV"]) {
            Some(Self::Vercel)
        } else if is_set("NETLIFY") {
            Some(Self::Netlify)
        } else {
            None
        }
    }
}

/// How many connections a pool opens at most unless told: 1 on a function platform, otherwise 10.
#[must_use]
pub fn default_max_connections(serverless: Option<Serverless>) -> usize {
    if serverless.is_some() { 1 } else { 10 }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn detect(vars: &[(&str, &str)]) -> Option<Serverless> {
        Serverless::detect_in(|name| {
            let var = vars.iter().find(|(key, _)| *key == name)?;
            Some(var.1.to_owned())
        })
    }

    #[test]
    fn each_platform_is_recognised_by_what_its_variables_say() {
        for (vars, expected) in [
            (
                &[("AWS_EXECUTION_ENV", "AWS_Lambda_provided.al2023")][..],
                Some(Serverless::AwsLambda),
            ),
            (
                &[("AWS_LAMBDA_FUNCTION_NAME", "f")],
                Some(Serverless::AwsLambda),
            ),
            (&[("AWS_EXECUTION_ENV", "AWS_ECS_FARGATE")], None),
            (&[("K_SERVICE", "cloud-run")], None),
            (
                &[("K_SERVICE", "f"), ("FUNCTION_TARGET", "f")],
                Some(Serverless::GoogleCloudFunctions),
            ),
            (
                &[("FUNCTIONS_WORKER_RUNTIME", "custom")],
                Some(Serverless::AzureFunctions),
            ),
            (&[("VERCEL", "1")], Some(Serverless::Vercel)),
            (&[("NETLIFY", "true")], Some(Serverless::Netlify)),
            (&[("NETLIFY", "false"), ("VERCEL", "")], None),
            (&[], None),
        ] {
            assert_eq!(detect(vars), expected, "{vars:?}");
        }
    }
}
