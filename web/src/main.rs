//! The page of the playground: a stage that draws the world and panels around it.

mod focus;
mod hold;
mod stage;
mod ui;

fn main() {
    let root = web_sys::window()
        .and_then(|window| window.document())
        .and_then(|document| document.get_element_by_id("page"));
    if let Some(root) = root {
        root.set_inner_html("");
        yew::Renderer::<ui::App>::with_root(root).render();
    }
}
