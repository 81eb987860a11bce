//! The events that Lambda's HTTP triggers send, and the answers that they accept.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

/// A client's request.
#[derive(Clone)]
pub struct Request<'a> {
    pub method: &'a str,
    pub path: &'a str,
    pub headers: Vec<(&'a str, &'a str)>,
    pub body: Vec<u8>,
}

impl<'a> Request<'a> {
    pub fn get(path: &'a str) -> Self {
        Request {
            method: "GET",
            path,
            headers: Vec::new(),
            body: Vec::new(),
        }
    }

    pub fn post(path: &'a str, body: &Value) -> Self {
        Request {
            method: "POST",
            path,
            headers: vec![("Content-Type", "application/json")],
            body: body.to_string().into_bytes(),
        }
    }

    pub fn with(mut self, name: &'a str, value: &'a str) -> Self {
        self.headers.push((name, value));
        self
    }

    /// HTTP APIs, function URLs and load balancers send header names in lower case.
    fn headers(&self, lower: bool) -> Map<String, Value> {
        let host = [
            ("Host", "rerank.example.com"),
            ("X-Forwarded-For", "192.0.2.1"),
        ];
        let name = |name: &str| {
            if lower {
                name.to_ascii_lowercase()
            } else {
                name.to_owned()
            }
        };
        let all = host.iter().chain(&self.headers);
        all.map(|(n, value)| (name(n), json!(value))).collect()
    }

    fn multi_value_headers(&self, lower: bool) -> Value {
        let headers = self.headers(lower).into_iter();
        headers
            .map(|(name, value)| (name, json!([value])))
            .collect::<Map<_, _>>()
            .into()
    }

    fn body(&self, base64: bool) -> Value {
        match (base64, self.body.is_empty()) {
            (_, true) => Value::Null,
            (true, _) => json!(STANDARD.encode(&self.body)),
            (false, _) => json!(std::str::from_utf8(&self.body).unwrap()),
        }
    }
}

/// The triggers that call a function over HTTP.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// API Gateway's REST APIs: payload format 1.0.
    RestApi,
    /// API Gateway's HTTP APIs: payload format 2.0.
    HttpApi,
    /// A function URL: payload format 2.0.
    FunctionUrl,
    /// An application load balancer.
    LoadBalancer,
    /// An application load balancer with `lambda.multi_value_headers.enabled`.
    LoadBalancerMulti,
}

impl Trigger {
    pub const ALL: [Trigger; 5] = [
        Trigger::RestApi,
        Trigger::HttpApi,
        Trigger::FunctionUrl,
        Trigger::LoadBalancer,
        Trigger::LoadBalancerMulti,
    ];

    /// The event for a request, with its body in base64 or plain.
    pub fn event(self, request: &Request, base64: bool) -> Value {
        match self {
            Trigger::RestApi => rest_api("prod", request, base64),
            Trigger::HttpApi => http_api("$default", "rerank.example.com", request, base64),
            Trigger::FunctionUrl => http_api(
                "$default",
                "abcdefg.lambda-url.eu-north-1.on.aws",
                request,
                base64,
            ),
            Trigger::LoadBalancer => load_balancer(false, request, base64),
            Trigger::LoadBalancerMulti => load_balancer(true, request, base64),
        }
    }
}

/// Payload format 1.0; `path` is without the stage.
pub fn rest_api(stage: &str, request: &Request, base64: bool) -> Value {
    json!({
        "resource": "/{proxy+}",
        "path": request.path,
        "httpMethod": request.method,
        "headers": request.headers(false),
        "multiValueHeaders": request.multi_value_headers(false),
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": {"proxy": request.path.trim_start_matches('/')},
        "stageVariables": null,
        "requestContext": {
            "resourceId": "0wlfr7",
            "resourcePath": "/{proxy+}",
            "httpMethod": request.method,
            "extendedRequestId": "Xkz4SFz9oAMFkkA=",
            "requestTime": "24/Nov/2026:11:00:00 +0000",
            "path": format!("/{stage}{}", request.path),
            "accountId": "123456789012",
            "protocol": "HTTP/1.1",
            "stage": stage,
            "domainPrefix": "70ixmpl4fl",
            "requestTimeEpoch": 1_795_518_000_000_u64,
            "requestId": "8eb7f2a0-0d4f-4c5b-8a3c-7d1d3d1c9a11",
            "identity": {
                "cognitoIdentityPoolId": null, "accountId": null, "cognitoIdentityId": null,
                "caller": null,
                "sourceIp": "192.0.2.1", "principalOrgId": null, "accessKey": null,
                "cognitoAuthenticationType": null, "cognitoAuthenticationProvider": null,
                "userArn": null,
                "userAgent": "curl/8.5.0", "user": null
            },
            "domainName": "70ixmpl4fl.execute-api.eu-north-1.amazonaws.com",
            "apiId": "70ixmpl4fl"
        },
        "body": request.body(base64),
        "isBase64Encoded": base64
    })
}

/// Payload format 2.0; `rawPath` starts with the stage, except for `$default`.
pub fn http_api(stage: &str, domain: &str, request: &Request, base64: bool) -> Value {
    let path = match stage {
        "$default" => request.path.to_owned(),
        stage => format!("/{stage}{}", request.path),
    };
    let mut event = json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": path,
        "rawQueryString": "",
        "headers": request.headers(true),
        "requestContext": {
            "accountId": "anonymous",
            "apiId": domain.split('.').next(),
            "domainName": domain,
            "domainPrefix": domain.split('.').next(),
            "http": {
                "method": request.method, "path": path, "protocol": "HTTP/1.1",
                "sourceIp": "192.0.2.1", "userAgent": "curl/8.5.0"
            },
            "requestId": "JKJaXmPLvHcESHA=",
            "routeKey": "$default",
            "stage": stage,
            "time": "24/Nov/2026:11:00:00 +0000",
            "timeEpoch": 1_795_518_000_000_u64
        },
        "isBase64Encoded": base64
    });
    // In this format a request without a body has no `body` field.
    if !request.body.is_empty() {
        event["body"] = request.body(base64);
    }
    event
}

fn load_balancer(multi: bool, request: &Request, base64: bool) -> Value {
    let mut event = json!({
        "requestContext": {"elb": {"targetGroupArn":
            "arn:aws:elasticloadbalancing:eu-north-1:123456789012:targetgroup/rerank/49e9d65c"}},
        "httpMethod": request.method,
        "path": request.path,
        "body": if request.body.is_empty() { json!("") } else { request.body(base64) },
        "isBase64Encoded": base64
    });
    if multi {
        event["multiValueHeaders"] = request.multi_value_headers(true);
        event["multiValueQueryStringParameters"] = json!({});
    } else {
        event["headers"] = request.headers(true).into();
        event["queryStringParameters"] = json!({});
    }
    event
}

/// The client's answer.
#[derive(Debug)]
pub struct Answer {
    pub status: u64,
    headers: Map<String, Value>,
    pub body: Vec<u8>,
}

impl Answer {
    /// Reads the function's result as this trigger does.
    pub fn of(trigger: Trigger, response: &Value) -> Answer {
        let multi = [Trigger::RestApi, Trigger::LoadBalancerMulti].contains(&trigger);
        let field = if multi {
            "multiValueHeaders"
        } else {
            "headers"
        };
        let text = response["body"].as_str().unwrap_or_default();
        Answer {
            status: response["statusCode"].as_u64().unwrap(),
            headers: response[field].as_object().unwrap().clone(),
            body: if response["isBase64Encoded"].as_bool().unwrap() {
                STANDARD.decode(text).unwrap()
            } else {
                text.as_bytes().to_vec()
            },
        }
    }

    /// A header; the first if there are several.
    pub fn header(&self, name: &str) -> Option<&str> {
        match self.headers.get(name)? {
            Value::Array(values) => values.first()?.as_str(),
            value => value.as_str(),
        }
    }

    pub fn json(&self) -> Value {
        let text = || String::from_utf8_lossy(&self.body);
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {}", text()))
    }

    /// Asserts status 200 and reads the JSON.
    pub fn ok(&self) -> Value {
        assert_eq!(self.status, 200, "{}", String::from_utf8_lossy(&self.body));
        self.json()
    }
}
