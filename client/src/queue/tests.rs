use std::{collections::HashSet, sync::Arc};

use super::*;

#[tokio::test]
async fn a_key_is_handed_out_once_however_often_it_is_added() {
    let queue = Queue::new();
    queue.add("a");
    queue.add("a");
    assert_eq!(queue.len(), 1);
    let job = queue.next().await.unwrap();
    assert_eq!(*job.key(), "a");
    assert!(queue.is_empty());
}

#[tokio::test]
async fn a_key_added_while_worked_on_comes_again_only_when_done() {
    let queue = Queue::new();
    queue.add("a");
    let job = queue.next().await.unwrap();
    queue.add("a");
    queue.add("b");
    let other = queue.next().await.unwrap();
    assert_eq!(*other.key(), "b");
    assert!(queue.is_empty());
    drop(job);
    assert_eq!(*queue.next().await.unwrap().key(), "a");
}

#[tokio::test]
async fn delays_are_kept_and_the_earliest_counts() {
    let queue = Queue::new();
    let start = Instant::now();
    queue.add_after("a", Duration::from_secs(2000));
    queue.add_after("a", Duration::from_millis(60));
    queue.add_after("a", Duration::from_secs(900));
    queue.add_after("b", Duration::from_millis(20));
    assert_eq!(*queue.next().await.unwrap().key(), "b");
    assert!(start.elapsed() >= Duration::from_millis(20));
    assert_eq!(*queue.next().await.unwrap().key(), "a");
    assert!((60..60_000).contains(&start.elapsed().as_millis()));
    assert!(queue.lock().later.is_empty());
}

#[tokio::test]
async fn failures_back_off_exponentially_until_forgotten() {
    let queue = Queue::new();
    let delays: Vec<_> = (0..4).map(|_| queue.add_failed("a").as_millis()).collect();
    assert_eq!(delays, [5, 10, 20, 40]);
    assert_eq!(queue.add_failed("b").as_millis(), 5);
    queue.forget(&"a");
    assert_eq!(queue.add_failed("a").as_millis(), 5);
    assert_eq!(backoff(17), Duration::from_millis(655_360));
    assert_eq!(backoff(18), LONGEST_DELAY);
    assert_eq!(backoff(u32::MAX), LONGEST_DELAY);
}

#[tokio::test]
async fn a_sleeping_worker_notices_an_earlier_key() {
    let queue = Arc::new(Queue::new());
    queue.add_after("late", Duration::from_secs(100));
    let worker = tokio::spawn({
        let queue = queue.clone();
        async move { *queue.next().await.unwrap().key() }
    });
    tokio::task::yield_now().await;
    queue.add("now");
    assert_eq!(worker.await.unwrap(), "now");
}

#[tokio::test]
async fn many_workers_never_share_a_key_and_all_end_on_close() {
    let queue = Arc::new(Queue::new());
    let busy: Arc<Mutex<HashSet<u32>>> = Arc::default();
    let done: Arc<Mutex<u32>> = Arc::default();
    let workers: Vec<_> = (0..4)
        .map(|_| {
            let (queue, busy, done) = (queue.clone(), busy.clone(), done.clone());
            tokio::spawn(async move {
                while let Some(job) = queue.next().await {
                    assert!(busy.lock().unwrap().insert(*job.key()), "worked on twice at once");
                    tokio::task::yield_now().await;
                    busy.lock().unwrap().remove(job.key());
                    *done.lock().unwrap() += 1;
                }
            })
        })
        .collect();
    for round in 0..50 {
        (0..8).for_each(|key| queue.add(key));
        if round % 5 == 0 {
            tokio::task::yield_now().await;
        }
    }
    let deadline = Instant::now() + Duration::from_secs(10);
    while !queue.is_empty() {
        assert!(Instant::now() < deadline, "queue does not drain");
        tokio::task::yield_now().await;
    }
    queue.close();
    for worker in workers {
        tokio::time::timeout(Duration::from_secs(10), worker).await.unwrap().unwrap();
    }
    assert!(*done.lock().unwrap() >= 8);
}

/// The number of a measured queue.
fn measured(metric: &str, name: &str) -> f64 {
    let mut text = nodeplane_metrics::Text::default();
    show(&mut text);
    let text = text.finish();
    let sample = format!("{metric}{{name=\"{name}\"}} ");
    let line = text.lines().find_map(|line| line.strip_prefix(&sample));
    line.unwrap_or_else(|| panic!("no {sample}in:\n{text}")).parse().unwrap()
}

#[tokio::test]
async fn a_named_queue_tells_what_waits_and_what_is_worked_on() {
    const MOMENT: Duration = Duration::from_millis(20);
    let queue = Queue::named("measured");
    let number = |metric: &str| measured(metric, "measured");
    queue.add(1);
    queue.add(1);
    queue.add(2);
    assert_eq!((number("workqueue_adds_total"), number("workqueue_depth")), (2.0, 2.0));
    sleep_until(Instant::now() + MOMENT).await;
    let job = queue.next().await.unwrap();
    assert_eq!((number("workqueue_queue_duration_seconds_count"), number("workqueue_depth")), (1.0, 1.0));
    assert!(number("workqueue_queue_duration_seconds_sum") >= MOMENT.as_secs_f64());
    sleep_until(Instant::now() + MOMENT).await;
    let unfinished = ["workqueue_unfinished_work_seconds", "workqueue_longest_running_processor_seconds"];
    assert!(unfinished.iter().all(|metric| number(metric) >= MOMENT.as_secs_f64()));
    // Wanted again while it is worked on: it waits only when the work is done.
    queue.add(1);
    assert_eq!((number("workqueue_adds_total"), number("workqueue_depth")), (3.0, 1.0));
    drop(job);
    assert_eq!((number("workqueue_work_duration_seconds_count"), number("workqueue_depth")), (1.0, 2.0));
    assert!(number("workqueue_work_duration_seconds_sum") >= MOMENT.as_secs_f64());
    assert!(unfinished.iter().all(|metric| number(metric) == 0.0));
    queue.add_failed(9);
    assert_eq!(number("workqueue_retries_total"), 1.0);
    drop(queue);
    assert_eq!(number("workqueue_depth"), 0.0);
}
