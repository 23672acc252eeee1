//! A group's members: who they are, and putting them out.

use serde_json::json;

use fanlight_core::{Code, Event, GroupView, MemberId, MemberName, Op};
use fanlight_server::client::{Client, ClientError};

use crate::cli::failure::Failure;
use crate::cli::output::{Output, Table, counted};
use crate::cli::{look, names};

/// Whom to put out of a group.
#[derive(clap::Args)]
pub(super) struct Remove {
    /// Which group
    name: String,
    /// Members, by number (member-12, or 12) or by the name of a static member's instance
    #[arg(required_unless_present = "all", conflicts_with = "all", value_name = "MEMBER")]
    members: Vec<String>,
    /// All of them
    #[arg(long)]
    all: bool,
}

/// The members of groups, each with how many partitions it reads.
pub(super) fn show(groups: &[GroupView], out: &mut Output) -> Result<(), Failure> {
    let mut table =
        Table::new(&["GROUP", "MEMBER", "CONNECTION", "CLIENT", "INSTANCE", "PARTITIONS"]);
    for group in groups {
        for member in &group.members {
            let owned = group.partitions.iter().filter(|p| p.owner == Some(member.id));
            let mut parts: Vec<String> =
                owned.map(|p| format!("{}/{}", p.topic, p.partition)).collect();
            let more = parts.len().saturating_sub(8);
            if more > 0 {
                parts.truncate(8);
                parts.push(format!("and {more} more"));
            }
            table.row([
                group.name.clone(),
                member.id.to_string(),
                member.conn.map_or("away".to_owned(), |conn| conn.to_string()),
                member.client.clone(),
                member.instance.clone().unwrap_or_default(),
                parts.join(" "),
            ]);
        }
    }
    out.table(&table, "no members")
}

/// What to say of a refusal: that a group is in use goes with who uses it, and what to do.
pub(super) async fn explain(client: &mut Client, error: ClientError, group: &str) -> Failure {
    if error.code() != Some(Code::InUse) {
        return names::explain(client, error, group).await;
    }
    let Ok(view) = look::group(client, group).await else { return error.into() };
    let who: Vec<String> =
        view.members.iter().take(3).map(|m| format!("{} ({})", m.id, m.client)).collect();
    let more = match view.members.len().saturating_sub(who.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let members = counted(view.members.len() as u64, "member");
    Failure::failed(format!(
        "group {group} is active: it has {members}, {}{more}. Stop them first, or put them out \
         with `fanlight groups remove-members {} --all`",
        who.join(", "),
        names::shell_word(group)
    ))
}

/// Puts members out of a group.
pub(super) async fn remove(
    client: &mut Client,
    options: &Remove,
    out: &mut Output,
) -> Result<(), Failure> {
    let group = options.name.as_str();
    let given: Vec<String> = match options.all {
        true => {
            let view = look::group(client, group).await?;
            view.members.iter().map(|member| member.id.to_string()).collect()
        }
        false => options.members.clone(),
    };
    let members: Vec<MemberName<'_>> = given
        .iter()
        .map(|text| match text.strip_prefix("member-").unwrap_or(text).parse() {
            Ok(number) => MemberName { member: Some(MemberId(number)), instance: None },
            Err(_) => MemberName { member: None, instance: Some(text.as_str().into()) },
        })
        .collect();
    if members.is_empty() {
        return out.done(&format!("group {group} has no members"));
    }
    let op = Op::RemoveMembers { group: group.into(), members: members[..].into() };
    let answer = match client.request(op).await {
        Ok(answer) => answer,
        Err(error) => return Err(names::explain(client, error, group).await),
    };
    let event = answer.event()?;
    let Event::MembersRemoved { refused, .. } = &event else {
        return Err(ClientError::unexpected("MembersRemoved", &event).into());
    };
    let removed = given.len() - refused.len();
    let why: Vec<String> = refused
        .iter()
        .filter_map(|not| given.get(not.index as usize).map(|who| (who, &not.refusal)))
        .map(|(who, refusal)| format!("{who}: {refusal}"))
        .collect();
    if out.is_json() {
        out.json_line(&json!({ "group": group, "removed": removed, "refused": why }))?;
    } else if removed > 0 {
        let count = counted(removed as u64, "member");
        out.line(format!("{count} put out of group {group}"))?;
    }
    match why.is_empty() {
        true => Ok(()),
        false => Err(Failure::failed(format!(
            "{}; `fanlight groups describe {} --members` shows who is in it",
            why.join("; "),
            names::shell_word(group)
        ))),
    }
}
