//! Every address under `/v1`.

use axum::Router;
use axum::extract::Request;
use axum::handler::Handler;
use axum::http::{Method, StatusCode};
use axum::routing::{MethodFilter, any, on};

use super::{
    Api, Failure, dead, description, exchanges, groups, lists, publish, queues, receive, records,
    topics, work_groups,
};

/// Addresses, and the same as a list: a test holds it against the description.
#[derive(Default)]
pub(super) struct Routes {
    pub(super) router: Router<Api>,
    pub(super) list: Vec<(Method, &'static str)>,
}

impl Routes {
    fn add<H, T>(mut self, method: Method, path: &'static str, handler: H) -> Routes
    where
        H: Handler<T, Api>,
        T: 'static,
    {
        let filter =
            MethodFilter::try_from(method.clone()).expect("it is one of the usual methods");
        self.router = self.router.route(path, on(filter, handler));
        self.list.push((method, path));
        self
    }

    fn get<H: Handler<T, Api>, T: 'static>(self, path: &'static str, handler: H) -> Routes {
        self.add(Method::GET, path, handler)
    }

    fn post<H: Handler<T, Api>, T: 'static>(self, path: &'static str, handler: H) -> Routes {
        self.add(Method::POST, path, handler)
    }

    fn put<H: Handler<T, Api>, T: 'static>(self, path: &'static str, handler: H) -> Routes {
        self.add(Method::PUT, path, handler)
    }

    fn delete<H: Handler<T, Api>, T: 'static>(self, path: &'static str, handler: H) -> Routes {
        self.add(Method::DELETE, path, handler)
    }
}

/// All of them.
pub(super) fn all() -> Routes {
    let mut routes = messages(Routes::default());
    routes = dead_letters(routes);
    routes = topology(routes);
    routes = readers(routes);
    routes = routes
        .get("/v1/openapi.json", description::json)
        .get("/v1/overview", lists::overview)
        .get("/v1/connections", lists::connections)
        .get("/v1/connections/{connection}", lists::connection);
    let mut router = routes.router;
    for elsewhere in ["/v1", "/v1/", "/v1/{*rest}"] {
        router = router.route(elsewhere, any(nothing_there));
    }
    Routes { router: router.method_not_allowed_fallback(wrong_method), list: routes.list }
}

fn messages(routes: Routes) -> Routes {
    routes
        .post("/v1/queues/{queue}/messages", publish::to_queue)
        .get("/v1/queues/{queue}/messages", queues::peek)
        .get("/v1/queues/{queue}/messages/{offset}", queues::message)
        .get("/v1/queues/{queue}/messages/{offset}/journey", queues::journey)
        .post("/v1/queues/{queue}/receive", receive::receive)
        .post("/v1/queues/{queue}/ack", receive::ack)
        .post("/v1/queues/{queue}/nack", receive::nack)
        .post("/v1/queues/{queue}/reject", receive::reject)
        .post("/v1/queues/{queue}/release", receive::release)
        .post("/v1/queues/{queue}/extend", receive::extend)
        .post("/v1/topics/{topic}/messages", publish::to_topic)
        .get("/v1/topics/{topic}/partitions/{partition}/records", records::read)
        .get("/v1/topics/{topic}/partitions/{partition}/records/{offset}/journey", records::journey)
        .post("/v1/topics/{topic}/partitions/{partition}/trim", records::trim)
        .post("/v1/exchanges/{exchange}/messages", publish::through_exchange)
}

fn dead_letters(routes: Routes) -> Routes {
    routes
        .get("/v1/dead-letters", dead::list)
        .get("/v1/queues/{queue}/dead-letter-sources", dead::sources)
        .post("/v1/queues/{queue}/redrive", dead::redrive)
        .post("/v1/queues/{queue}/redrives", dead::start)
        .get("/v1/redrives", dead::jobs)
        .get("/v1/redrives/{redrive}", dead::job)
        .delete("/v1/redrives/{redrive}", dead::stop)
}

fn topology(routes: Routes) -> Routes {
    routes
        .get("/v1/queues", lists::queues)
        .put("/v1/queues/{queue}", queues::declare)
        .get("/v1/queues/{queue}", queues::describe)
        .delete("/v1/queues/{queue}", queues::delete)
        .put("/v1/queues/{queue}/policy", queues::alter)
        .post("/v1/queues/{queue}/purge", queues::purge)
        .get("/v1/topics", lists::topics)
        .put("/v1/topics/{topic}", topics::create)
        .get("/v1/topics/{topic}", topics::describe)
        .delete("/v1/topics/{topic}", topics::delete)
        .put("/v1/topics/{topic}/policy", topics::alter)
        .put("/v1/topics/{topic}/partitions", topics::add_partitions)
        .get("/v1/exchanges", lists::exchanges)
        .put("/v1/exchanges/{exchange}", exchanges::declare)
        .get("/v1/exchanges/{exchange}", exchanges::describe)
        .delete("/v1/exchanges/{exchange}", exchanges::delete)
        .post("/v1/exchanges/{exchange}/bind", exchanges::bind)
        .post("/v1/exchanges/{exchange}/unbind", exchanges::unbind)
}

fn readers(routes: Routes) -> Routes {
    routes
        .get("/v1/groups", lists::groups)
        .get("/v1/groups/{group}", groups::describe)
        .delete("/v1/groups/{group}", groups::delete)
        .post("/v1/groups/{group}/reset", groups::reset)
        .post("/v1/groups/{group}/commit", groups::commit)
        .delete("/v1/groups/{group}/topics/{topic}", groups::forget)
        .get("/v1/work-groups", lists::work_groups)
        .put("/v1/work-groups/{group}", work_groups::create)
        .get("/v1/work-groups/{group}", work_groups::describe)
        .delete("/v1/work-groups/{group}", work_groups::delete)
}

async fn nothing_there(request: Request) -> Failure {
    let what =
        format!("there is nothing at {}; /v1/openapi.json says what is", request.uri().path());
    Failure::new(StatusCode::NOT_FOUND, "NoSuchAddress", what)
}

async fn wrong_method(request: Request) -> Failure {
    let (method, path) = (request.method(), request.uri().path());
    let what = format!("{method} is not done at {path}; the header Allow says what is");
    Failure::new(StatusCode::METHOD_NOT_ALLOWED, "MethodNotAllowed", what)
}
